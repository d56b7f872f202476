"""Compares a trunk with the eager PyTorch model that it was exported from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from softcall.base.bundle import relative_difference
from softcall.base.trunk import Prefix, Trunk
from softcall.core.errors import SoftcallError

TOLERANCE = 1e-3
"""How much a full-precision hidden row may differ, relative to its largest element."""

SEED = 13
PROMPT_TOKENS = 6
LONG_TEXT_TOKENS = 200


@dataclass(frozen=True)
class Measurement:
    """The difference of a case's rows from the eager model's; the worst row counts."""

    variant: str
    case: str
    rows: int
    largest: float
    difference: float


def eager_hidden(
    model: PreTrainedModel, input_ids: Sequence[int], prompt: np.ndarray | None = None
) -> np.ndarray:
    """Return the last hidden row, float32 [hidden], of [prompt | text], without padding and cache.

    `prompt` is float32 [tokens, hidden]. The row is taken after the final norm.
    """
    with torch.no_grad():
        embeds = _embeds(model, input_ids, prompt)
        return model.base_model(inputs_embeds=embeds, use_cache=False).last_hidden_state[0, -1].numpy()


def eager_logits(
    model: PreTrainedModel, input_ids: Sequence[int], prompt: np.ndarray | None = None
) -> np.ndarray:
    """Return the logits, float32 [prompt + text, vocabulary], of [prompt | text], as `eager_hidden` does."""
    with torch.no_grad():
        return model(inputs_embeds=_embeds(model, input_ids, prompt), use_cache=False).logits[0].numpy()


def measure(
    model: PreTrainedModel, trunk: Trunk, encoder: Trunk, positions: int, variant: str
) -> list[Measurement]:
    """Run every way of using the trunk, behind prefixes of `encoder`; return the differences."""
    prompts = random_prompts(model, 3)
    prefixes = [encoder.encode(each) for each in prompts]
    return [
        measurement(variant, case, hidden, [eager_hidden(model, ids, prompt) for ids, prompt in rows])
        for case, rows, hidden in _cases(trunk, prompts, prefixes, model.config.vocab_size, positions)
    ]


def measurement(variant: str, case: str, found: np.ndarray, expected: Sequence[np.ndarray]) -> Measurement:
    """Return how far the rows `found` [rows, elements] are from `expected`, each relative to its own."""
    differences = [relative_difference(row, wanted) for row, wanted in zip(found, expected, strict=True)]
    return Measurement(
        variant, case, len(found), float(max(np.abs(row).max() for row in expected)), max(differences)
    )


def require_parity(measurements: Sequence[Measurement], tolerance: float = TOLERANCE) -> None:
    """Raise `SoftcallError`, which names the case, if hidden rows differ by more than `tolerance`."""
    for measured in measurements:
        if not measured.difference <= tolerance:
            raise SoftcallError(
                f"the exported {measured.variant} graph is not the model: hidden rows of the case "
                f"{measured.case!r} differ by {measured.difference:.1e} of their largest element, "
                f"{tolerance:.0e} is tolerated"
            )


def require_typical_parity(measurements: Sequence[Measurement], tolerance: float) -> None:
    """Raise `SoftcallError` if the median case differs by more than `tolerance`.

    For integers: an element between two steps may be rounded to either of them, and behind a prompt of noise,
    where the model is least stable, the difference can grow as large as the row. A wrong graph is wrong in
    most cases.
    """
    typical = float(np.median([measured.difference for measured in measurements]))
    if not typical <= tolerance:
        raise SoftcallError(
            f"the exported {measurements[0].variant} graph is not the model: hidden rows differ by "
            f"{typical:.1e} of their largest element in the median case, {tolerance:.0e} is tolerated"
        )


def random_prompts(model: PreTrainedModel, count: int) -> list[np.ndarray]:
    """Return `count` prompts, float32 [tokens, hidden]: seeded noise with the embedding's spread."""
    scale = float(model.get_input_embeddings().weight.std())
    noise = np.random.default_rng(SEED).normal(0, scale, (count, PROMPT_TOKENS, model.config.hidden_size))
    return list(noise.astype(np.float32))


def _embeds(model: PreTrainedModel, input_ids: Sequence[int], prompt: np.ndarray | None) -> torch.Tensor:
    embeds = model.get_input_embeddings()(torch.tensor(input_ids, dtype=torch.long)[None])
    return embeds if prompt is None else torch.cat([torch.from_numpy(prompt)[None], embeds], dim=1)


def _cases(
    trunk: Trunk, prompts: list[np.ndarray], prefixes: list[Prefix], vocab_size: int, positions: int
) -> Iterator[tuple]:
    """Yield (case, rows as (ids, prompt or None), the trunk's hidden rows)."""
    random = np.random.default_rng(SEED)
    longest = min(LONG_TEXT_TOKENS, positions - PROMPT_TOKENS)
    text, long, *short = [
        random.integers(0, vocab_size, min(n, longest)).tolist() for n in (12, LONG_TEXT_TOKENS, 1, 7, 19)
    ]
    prompt = prompts[0]

    yield "text alone", [(text, None)], _run(trunk, [text])
    yield "prompt in line", [(text, prompt)], _run(trunk, [text], prompts=[prompt])
    yield "prompt alone", [([], prompt)], _run(trunk, [[]], prompts=[prompt])
    yield "behind a prefix", [(text, prompt)], _run(trunk, [text], prefix=prefixes[0])
    yield "long text behind a prefix", [(long, prompt)], _run(trunk, [long], prefix=prefixes[0])
    yield (
        "unequal lengths, prompts in line",
        list(zip(short, prompts, strict=True)),
        _run(trunk, short, prompts),
    )
    yield (
        "unequal lengths, one prefix",
        [(ids, prompt) for ids in short],
        _run(trunk, short, prefix=prefixes[0]),
    )
    stacked = [np.concatenate(parts) for parts in zip(*prefixes, strict=True)]
    yield (
        "unequal lengths, a prefix each",
        list(zip(short, prompts, strict=True)),
        _run(trunk, short, prefix=stacked),
    )


def _run(
    trunk: Trunk,
    texts: list[list[int]],
    prompts: list[np.ndarray] | None = None,
    prefix: Prefix | None = None,
) -> np.ndarray:
    """Run texts as one batch, padded on the right."""
    length = max(map(len, texts))
    ids = np.array([text + [0] * (length - len(text)) for text in texts], np.int64).reshape(
        len(texts), length
    )
    last = np.array([len(text) - 1 for text in texts]) + (len(prompts[0]) if prompts else 0)
    return trunk.hidden(ids, last, np.stack(prompts) if prompts else None, prefix)
