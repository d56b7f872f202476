"""The weights of an int4 trunk: blocks of 32 inputs in 4 bits, each with a scale and an offset.

A weight is `scale * integer + offset`, as in GGUF's Q4_1, whose integers are kept. ONNX Runtime's fast
kernels know no offsets, but zero points from 0 to 15: `scale * (integer - zero)`. What the offset has besides
is the same for all weights of a block, so it is a weight of the sum of the block's inputs. These weights are
blocks of 4 bits, too, behind the others, and the graph appends the sums to each row.

The embedding and the vocabulary head have blocks of 8 bits with a scale, as GGUF's Q8_0.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from softcall.core.errors import SoftcallError
from softcall.export.weights.external_data import SIDE_BY_SIDE, TRANSPOSED, full_precision

INTEGERS = ".int4"
SCALES = ".scale"
ZEROS = ".zero"
BYTES = ".uint8"

BLOCK = 32
STEPS = 15
"""The largest integer of 4 bits."""

BYTE_ZERO = 128
"""The integer of 8 bits that stands for zero."""

_BYTE_STEPS = 127

_STRETCHES = tuple(np.float32(1 + step / 32) for step in (0, *range(-10, 0), *range(1, 7)))
"""The scales that are tried, as multiples of the one that just spans a block; of equal ones the first."""

_BLOCKS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class Blocks:
    """A weight [out, in]: integers, uint8 [out, blocks, 32], scales, float32, and zeros, uint8 [out, blocks].

    The last blocks are those of the sums of the others; the very last is filled up with weights of no inputs.
    """

    integers: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray
    inputs: int

    @property
    def with_sums(self) -> np.ndarray:
        """The weights that they stand for, float32 [out, in + sums]: of the inputs, then of the sums."""
        steps = self.integers.astype(np.float32) - self.zeros[..., None].astype(np.float32)
        weights = (steps * self.scales[..., None]).reshape(len(steps), -1)
        return weights[:, : self.inputs + block_count(self.inputs)]

    @property
    def floats(self) -> np.ndarray:
        """The weight that they stand for, float32 [out, in]."""
        weights, of_sums = np.split(self.with_sums, [self.inputs], axis=1)
        return weights + np.repeat(of_sums, BLOCK, axis=1)

    def part(self, suffix: str) -> np.ndarray:
        """Return what a graph calls by this suffix: packed pairs, the first in the lower four bits."""
        if suffix == SCALES:
            return self.scales
        return _pairs(self.integers if suffix == INTEGERS else self.zeros)


def block_count(inputs: int) -> int:
    """Return how many blocks a row of this many inputs takes."""
    return -(-inputs // BLOCK)


def require_whole_blocks(name: str, inputs: int) -> None:
    """Raise `SoftcallError` for a weight whose number of inputs is no multiple of 32."""
    if inputs % BLOCK:
        raise SoftcallError(f"{name} has {inputs} inputs; int4 takes multiples of {BLOCK}")


def int4_weights(parameters: Mapping[str, np.ndarray]) -> Callable[[str], np.ndarray]:
    """Return a function from a weight's name in an int4 graph to the weight.

    `softcall.export.graphs.int4` makes the names. `parameters` are the base's own by Hugging Face name.
    """
    floats = full_precision(parameters)

    @functools.lru_cache(maxsize=1)  # the parts of a weight are asked for in turn
    def blocks(name: str) -> Blocks:
        return quantized(parameters, name)

    def weight(name: str) -> np.ndarray:
        for suffix in (INTEGERS, SCALES, ZEROS, BYTES):
            if name.endswith(suffix):
                stem = name.removesuffix(suffix)
                if stem.endswith(TRANSPOSED):
                    return blocks(stem).part(suffix)
                return in_bytes(parameters[stem])[suffix == SCALES]
        return floats(name)

    return weight


def quantized(parameters: Mapping[str, np.ndarray], name: str) -> Blocks:
    """Return the blocks of a weight, or of several side by side; `name` is without a suffix."""
    # A parameter is [out, in], as the blocks are.
    rows = [parameters[part.removesuffix(TRANSPOSED)] for part in name.split(SIDE_BY_SIDE)]
    return blocks_of(np.concatenate(rows))


def blocks_of(rows: np.ndarray) -> Blocks:
    """Round each block of rows [out, in] with the scale and the offset whose squared error is smallest.

    Sums are made in one order, element by element, so that every machine chooses alike.
    """
    blocks, scales, offsets = _with_offsets(rows)
    zeros = np.clip(np.rint(-offsets / scales), 0, STEPS)
    sums, sum_scales, sum_offsets = _with_offsets(offsets + zeros * scales, whole_steps=True)
    sum_zeros = np.rint(-sum_offsets / sum_scales)
    return Blocks(
        np.concatenate([blocks, sums], 1).astype(np.uint8),
        np.concatenate([scales, sum_scales], 1),
        np.concatenate([zeros, sum_zeros], 1).astype(np.uint8),
        rows.shape[1],
    )


def in_bytes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows [out, in] in 8 bits: integers, uint8 [out, blocks, 32], and scales [out, blocks]."""
    blocks = rows.reshape(len(rows), -1, BLOCK)
    scales = (np.abs(blocks).max(-1) / np.float32(_BYTE_STEPS)).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.rint(np.nan_to_num(blocks / scales[..., None]))
    return (steps + BYTE_ZERO).astype(np.uint8), scales


def from_bytes(integers: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return the weight, float32 [out, in], that the results of `in_bytes` stand for."""
    steps = integers.astype(np.float32) - BYTE_ZERO
    return (steps * scales[..., None]).reshape(len(integers), -1)


def _with_offsets(rows: np.ndarray, whole_steps: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (integers [out, blocks, 32], scales [out, blocks], offsets [out, blocks]) of rows [out, in].

    `whole_steps` asks for offsets of 0 to 15 steps below zero.
    """
    outputs, inputs = rows.shape
    padded = np.pad(rows, ((0, 0), (0, -inputs % BLOCK)), "edge").astype(np.float32)
    blocks = padded.reshape(-1, BLOCK)
    parts = [
        _rounded(np.ascontiguousarray(blocks[start : start + _BLOCKS_AT_ONCE].T), whole_steps)
        for start in range(0, len(blocks), _BLOCKS_AT_ONCE)
    ]
    integers, scales, offsets = (np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))
    shape = (outputs, block_count(inputs))
    return integers.T.reshape(*shape, BLOCK), scales.reshape(shape), offsets.reshape(shape)


def _rounded(columns: np.ndarray, whole_steps: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (integers [32, blocks], scales [blocks], offsets [blocks]) of blocks, each a column."""
    best, least = None, np.float32(np.inf)
    for scales, offsets in _candidates(columns, whole_steps):
        integers = np.clip(np.rint((columns - offsets) / scales), 0, STEPS)
        error = _squares(columns - (integers * scales + offsets))
        better = error < least
        least = np.where(better, error, least)
        found = (integers, scales, offsets)
        best = found if best is None else [np.where(better, *each) for each in zip(found, best, strict=True)]
        if not least.any():
            break
    return tuple(best)


def _candidates(columns: np.ndarray, whole_steps: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield scales and offsets [blocks]: around the scale that just spans a block, in the block's middle."""
    lowest, highest = columns.min(0), columns.max(0)
    if whole_steps:
        lowest, highest = np.minimum(lowest, 0), np.maximum(highest, 0)
    spanning = (highest - lowest) / np.float32(STEPS)
    spanning[spanning == 0] = 1  # the weights of a block are all equal
    for stretch in _STRETCHES:
        scales = spanning * stretch
        # Exactly the lowest weight where the scale spans the block, so that blocks of Q4_1 are found again.
        offsets = lowest - (scales - spanning) * np.float32(STEPS / 2)
        if not whole_steps:
            yield scales, offsets
            continue
        steps = np.clip(-offsets / scales, 0, STEPS)
        for rounded in (np.floor(steps), np.ceil(steps)):
            yield scales, -rounded * scales


def _squares(columns: np.ndarray) -> np.ndarray:
    total = np.zeros(columns.shape[1], np.float32)
    for row in columns:
        total += row * row
    return total


def _pairs(values: np.ndarray) -> np.ndarray:
    """Pack values below 16 along the last axis, two in a byte."""
    even = np.pad(values, [*[(0, 0)] * (values.ndim - 1), (0, values.shape[-1] % 2)])
    return even[..., ::2] | even[..., 1::2] << 4
