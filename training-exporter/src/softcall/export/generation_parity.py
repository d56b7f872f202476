"""Compares a variant's decode graph and vocabulary head with its trunk and with the eager PyTorch model."""

from collections.abc import Iterator

import numpy as np
import onnx
import torch
from transformers import PreTrainedModel

from softcall.base.bundle import FULL_PRECISION, Bundle
from softcall.base.decoder import Decoder, LmHead
from softcall.base.trunk import Trunk
from softcall.core.errors import SoftcallError
from softcall.export.parity import (
    PROMPT_TOKENS,
    SEED,
    Measurement,
    eager_logits,
    measurement,
    random_prompts,
)

STEPS = 3
ROOM = 5
"""Positions that a buffer has beyond those that the steps fill."""

WRITTEN_TOKENS = 32
TEXT_TOKENS = (2, 7, 12)
TIE = 1e-4
"""Logits that differ by less, relative to the largest one, count as equal: either token may be written."""


def measure(model: PreTrainedModel, bundle: Bundle, variant: str) -> list[Measurement]:
    """Decode and write tokens with a variant; return the differences from what `model` computes.

    `model` has the variant's arithmetic. Raises `SoftcallError` if full precision writes another token.
    """
    for graph in bundle.variant(variant).generation.graphs:
        onnx.checker.check_model(bundle.folder / graph)
    trunk, decoder, head = bundle.trunk(variant), bundle.decoder(variant), bundle.lm_head(variant)
    measurements = list(_steps(model, trunk, decoder, head, variant))
    if variant == FULL_PRECISION:
        measurements.append(_written(model, trunk, decoder, head, bundle.max_position_embeddings))
    return measurements


def _steps(
    model: PreTrainedModel, trunk: Trunk, decoder: Decoder, head: LmHead, variant: str
) -> Iterator[Measurement]:
    """Decode rows of unequal lengths in one buffer, step by step; the trunk runs each row alone."""
    random = np.random.default_rng(SEED)
    vocab_size = model.config.vocab_size
    texts = [random.integers(0, vocab_size, count).tolist() for count in TEXT_TOKENS[1:]]
    pasts = [trunk.read(texts[0]), trunk.encode(random_prompts(model, 1)[0]), trunk.read(texts[1])]
    lengths = np.array([past[0].shape[2] for past in pasts])
    cache = decoder.cache(pasts, lengths.max() + STEPS + ROOM)
    tokens = random.integers(0, vocab_size, (len(pasts), STEPS))
    for step in range(STEPS):
        hidden = decoder.hidden(tokens[:, step], lengths + step, cache)
        last = np.array([step])
        expected = np.concatenate(
            [
                trunk.hidden(row[None, : step + 1], last, prefix=past)
                for row, past in zip(tokens, pasts, strict=True)
            ]
        )
        yield measurement(variant, f"step {step + 1}, rows of unequal lengths", hidden, expected)
    with torch.no_grad():
        expected = model.get_output_embeddings()(torch.from_numpy(hidden)).numpy()
    yield measurement(variant, "logits of the vocabulary head", head.logits(hidden), expected)


def _written(
    model: PreTrainedModel, trunk: Trunk, decoder: Decoder, head: LmHead, positions: int
) -> Measurement:
    """Write tokens greedily, and compare with the eager model's logits behind the same tokens.

    As long as each token is the eager model's too, the model reads what it would have written itself.
    """
    random = np.random.default_rng(SEED)
    texts = [random.integers(0, model.config.vocab_size, count).tolist() for count in TEXT_TOKENS]
    prompts = random_prompts(model, len(texts))
    count = max(1, min(WRITTEN_TOKENS, positions - PROMPT_TOKENS - max(TEXT_TOKENS)))
    pasts = [trunk.read(text[:-1], trunk.encode(prompt)) for text, prompt in zip(texts, prompts, strict=True)]
    lengths = np.array([past[0].shape[2] for past in pasts])
    cache = decoder.cache(pasts, lengths.max() + count)
    tokens = [[text[-1]] for text in texts]
    logits = []
    for step in range(count):
        hidden = decoder.hidden([row[-1] for row in tokens], lengths + step, cache)
        logits.append(head.logits(hidden))
        for row, token in zip(tokens, logits[-1].argmax(1).tolist(), strict=True):
            row.append(token)
    rows, wanted = np.stack(logits, 1), []
    for row, text, written, prompt in zip(rows, texts, tokens, prompts, strict=True):
        expected = eager_logits(model, text + written[1:-1], prompt)[-count:]
        _require_same_tokens(row, expected)
        wanted.append(expected)
    return measurement(
        FULL_PRECISION,
        f"logits of {count} tokens, greedily",
        np.concatenate(rows),
        np.concatenate(wanted),
    )


def _require_same_tokens(logits: np.ndarray, expected: np.ndarray) -> None:
    """Compare the greedy choices of logits [tokens, vocabulary]; equal logits may differ in their order."""
    for step, (found, wanted) in enumerate(zip(logits, expected, strict=True)):
        token, best = int(found.argmax()), int(wanted.argmax())
        if not wanted[best] - wanted[token] <= TIE * np.abs(wanted).max():
            raise SoftcallError(
                f"the exported decode graph is not the model: as token {step + 1} it writes {token} "
                f"(logit {wanted[token]:.4f}), PyTorch writes {best} (logit {wanted[best]:.4f})"
            )
