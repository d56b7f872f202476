"""The weights of an int8 trunk: 7 bits, and a scale per column.

Seven bits, because processors without VNNI add two products of an 8-bit input and a weight in 16 bits: 2 x
255 x 64 just fits, and 8-bit weights would saturate. With 7 bits every processor computes the same sums.
"""

from collections.abc import Callable, Mapping

import numpy as np

from softcall.base.architectures import Architecture
from softcall.export.weights.external_data import SIDE_BY_SIDE, TRANSPOSED, full_precision
from softcall.export.weights.smoothing import Smoothed

INTEGERS = ".int8"
SCALES = ".scale"

WEIGHT_STEPS = 64
EMBEDDING_STEPS = 127


def int8_weights(
    parameters: Mapping[str, np.ndarray],
    factors: Mapping[str, np.ndarray],
    architecture: Architecture,
    steps: int = WEIGHT_STEPS,
) -> Callable[[str], np.ndarray]:
    """Return a function from a weight's name in an int8 graph to the weight.

    `softcall.export.graphs.int8` makes the names. `parameters` are the base's own by Hugging Face name,
    `factors` its smoothing; the largest weight of a column becomes `steps`.
    """
    smoothed = Smoothed(parameters, factors, architecture)
    floats = full_precision(smoothed)

    def weight(name: str) -> np.ndarray:
        for suffix, part in ((INTEGERS, 0), (SCALES, 1)):
            if name.endswith(suffix):
                return quantized(smoothed, name.removesuffix(suffix), steps)[part]
        return floats(name)

    return weight


def quantized(
    smoothed: Mapping[str, np.ndarray], name: str, steps: int = WEIGHT_STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Return (integers, scales) of a weight; `name` is without `.int8` and `.scale`.

    A weight that is not transposed is the embedding's: each of its rows has a scale.
    """
    if not name.endswith(TRANSPOSED):
        integers, scales = _steps(smoothed[name], EMBEDDING_STEPS)
        return integers, scales[:, None]
    # A parameter is [out, in], so an output is a row here, and a column of the stored weight.
    parts = [_steps(smoothed[part.removesuffix(TRANSPOSED)], steps) for part in name.split(SIDE_BY_SIDE)]
    integers, scales = (np.concatenate(each) for each in zip(*parts, strict=True))
    return integers.T, scales


def _steps(rows: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide each row into `steps` on either side of 0; a row of zeros has the scale 0."""
    scales = (np.abs(rows).max(1) / np.float32(steps)).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        integers = np.rint(np.nan_to_num(rows / scales[:, None]))
    return integers.astype(np.int8), scales
