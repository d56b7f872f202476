"""The initial prompt: vectors [tokens, hidden], before the first training step."""

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
from tokenizers import Tokenizer

from softcall.core.errors import SoftcallError

# Lester et al. (2021), section 3.2: sampled vectors come from the most common tokens. Byte-pair encoders
# number their tokens roughly by frequency, so these are the lowest ids.
COMMON_TOKENS = 5_000

EmbeddingRows = Callable[[Sequence[int]], np.ndarray]


class PromptInit(StrEnum):
    """The start of a prompt."""

    TEXT = "text"
    LABELS = "labels"
    VOCAB = "vocab"
    RANDOM = "random"
    ARTIFACT = "artifact"


def default_init_text(verbalizers: Sequence[str]) -> str:
    """Return the default instruction that a prompt starts from."""
    return f"Classify the text. The label is one of: {', '.join(words.strip() for words in verbalizers)}."


def initial_prompt(
    init: PromptInit,
    tokens: int,
    embedding: EmbeddingRows,
    tokenizer: Tokenizer,
    *,
    init_text: str,
    verbalizers: Sequence[str],
    seed: int,
    given: np.ndarray | None = None,
) -> np.ndarray:
    """The first prompt, float32 [tokens, hidden].

    `embedding` maps ids to rows of the input embedding, float32 [n, hidden].
    `text`: the embeddings of `init_text`, cut or repeated to the length (as PEFT does).
    `labels`: a vector per verbalizer, the mean of its tokens (Lester et al., "class label"); the rest as
    `vocab`.
    `vocab`: embeddings of distinct common tokens, drawn by `seed`.
    `random`: normal noise as wide as the embedding of common tokens, drawn by `seed`.
    `artifact`: `given`, another task's prompt [tokens, hidden] (SPoT, Vu et al. 2022).
    """
    generator = np.random.default_rng(seed)
    match PromptInit(init):
        case PromptInit.TEXT:
            ids = tokenizer.encode(init_text, add_special_tokens=False).ids
            if not ids:
                raise SoftcallError(f"the init text {init_text!r} has no tokens")
            rows = embedding([ids[i % len(ids)] for i in range(tokens)])
        case PromptInit.LABELS:
            means = [_mean_row(embedding, tokenizer, verbalizer) for verbalizer in verbalizers[:tokens]]
            rest = _common_ids(tokenizer, generator, tokens - len(means))
            rows = np.concatenate([np.stack(means), *([embedding(rest)] if rest else [])])
        case PromptInit.VOCAB:
            rows = embedding(_common_ids(tokenizer, generator, tokens))
        case PromptInit.RANDOM:
            scale = embedding(_common_ids(tokenizer, generator, COMMON_TOKENS)).std()
            rows = generator.normal(0.0, scale, (tokens, embedding([0]).shape[1]))
        case PromptInit.ARTIFACT:
            if given is None or len(given) != tokens:
                raise SoftcallError(
                    f"the prompt to start from has {0 if given is None else len(given)} tokens, not {tokens}"
                )
            rows = given
    return np.ascontiguousarray(rows, dtype=np.float32)


def _mean_row(embedding: EmbeddingRows, tokenizer: Tokenizer, text: str) -> np.ndarray:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    if not ids:
        raise SoftcallError(f"the verbalizer {text!r} has no tokens")
    return embedding(ids).mean(axis=0)


def _common_ids(tokenizer: Tokenizer, generator: np.random.Generator, count: int) -> list[int]:
    """Return `count` ids of common tokens, repeated only if they run out; special tokens are excluded."""
    special = set(tokenizer.get_added_tokens_decoder())
    common = [i for i in range(min(COMMON_TOKENS, tokenizer.get_vocab_size())) if i not in special]
    drawn = generator.permutation(common)
    return [int(drawn[i % len(drawn)]) for i in range(count)]
