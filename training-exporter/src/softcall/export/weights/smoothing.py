"""SmoothQuant: moves the range of a channel from rows, which are quantised, into the weights.

Xiao et al. 2023, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models",
equation 4. The factors are folded into parameters, so a smoothed model computes the same as before. Only
channels inside a layer are scaled (the norms' outputs, the MLP's inner ones), so keys, values and prefixes
stay as they are.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from softcall.base.architectures import Architecture

ALPHA = 0.5
"""How much of a channel's size goes into the weights: 0 none, 1 all."""

_SMALLEST = 1e-5
_LARGEST_FACTOR = 1e3


def factors(largest: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Return the divisors of channels, float32 [channels].

    `largest` [channels] has each channel's largest absolute value, `weights` are [out, channels].
    """
    inputs = np.maximum(largest, _SMALLEST) ** ALPHA
    outputs = np.maximum(np.max([np.abs(w).max(0) for w in weights], 0), _SMALLEST) ** (1 - ALPHA)
    return np.clip(inputs / outputs, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR).astype(np.float32)


class Smoothed(Mapping[str, np.ndarray]):
    """The parameters of a model with folded smoothing factors, computed on access."""

    def __init__(
        self,
        parameters: Mapping[str, np.ndarray],
        by_source: Mapping[str, np.ndarray],
        architecture: Architecture,
    ) -> None:
        """`by_source` maps a `Channels.source` of `architecture` to its factors."""
        self._parameters = parameters
        self._sources = by_source
        self._readers = {
            reader: by_source[group.source]
            for group in architecture.smoothed_channels(len(by_source) // len(architecture.smoothed))
            for reader in group.readers
        }

    def __getitem__(self, name: str) -> np.ndarray:
        array = self._parameters[name]
        if name in self._readers:
            array = array * self._readers[name]
        # A bias is scaled like its weight.
        divisor = self._sources.get(
            name.removesuffix(".bias") + ".weight" if name.endswith(".bias") else name
        )
        if divisor is not None:
            array = array / divisor.reshape(-1, *[1] * (array.ndim - 1))
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)


def save(by_source: Mapping[str, np.ndarray], file: Path) -> None:
    """Write factors by their source; equal factors give equal bytes."""
    save_file(dict(sorted(by_source.items())), file)


def load(file: Path) -> Mapping[str, np.ndarray]:
    """Read what `save` wrote."""
    return load_file(file)
