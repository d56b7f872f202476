"""The weights of a GGUF file by Hugging Face name, read with numpy alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from gguf import GGUFReader, dequantize

from softcall.base.architectures import ARCHITECTURES, Architecture
from softcall.core.errors import SoftcallError

_READABLE = {each.family: each for each in ARCHITECTURES if each.gguf is not None}


class GgufWeights(Mapping[str, np.ndarray]):
    """Hugging Face name to float32 array, of a GGUF file; `architecture` is that of its model.

    An array is dequantised each time it is asked for, so that memory holds one of them. Raises
    `SoftcallError` for a file that is not readable, of an architecture without `GgufNames`, or with a tensor
    that the architecture does not have.
    """

    def __init__(self, file: Path):
        """Read the header of `file` and map its tensors."""
        try:
            reader = GGUFReader(file)
        except Exception as error:  # the reader raises many types of error for a damaged file
            raise SoftcallError(f"{file} is not a readable GGUF file: {error}") from error
        family = _value(reader, file, "general.architecture")
        if family not in _READABLE:
            expected = " or ".join(map(repr, _READABLE))
            raise SoftcallError(f"{file}: general.architecture is {family!r}; {expected} is expected")
        self.architecture = _READABLE[family]
        heads = self.architecture.gguf.heads
        self._heads = {part: _value(reader, file, key) for part, key in heads.items()}
        self._tensors = {
            _parameter_name(tensor.name, self.architecture, file): tensor for tensor in reader.tensors
        }

    def __getitem__(self, name: str) -> np.ndarray:
        """Dequantise one parameter."""
        tensor = self._tensors[name]
        array = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
        part = tensor.name.split(".")[-2]
        return _undo_permutation(array, self._heads[part]) if part in self._heads else array

    def __iter__(self) -> Iterator[str]:
        """Iterate over the Hugging Face names."""
        return iter(self._tensors)

    def __len__(self) -> int:
        """Return the number of parameters."""
        return len(self._tensors)


def _value(reader: GGUFReader, file: Path, key: str):
    field = reader.get_field(key)
    if field is None:
        raise SoftcallError(f"{file} has no {key}")
    return field.contents()


def _parameter_name(tensor: str, architecture: Architecture, file: Path) -> str:
    names = architecture.gguf
    number, _, rest = tensor.removeprefix("blk.").partition(".")
    part, _, kind = rest.rpartition(".")
    if tensor.startswith("blk.") and part in names.layer:
        return f"{architecture.layer(number)}.{names.layer[part]}.{kind}"
    if tensor in names.model:
        return names.model[tensor]
    raise SoftcallError(f"{file}: the tensor {tensor} has no place in a {architecture.name}")


def _undo_permutation(array: np.ndarray, heads: int) -> np.ndarray:
    """Put the rows of a query or key projection back into Hugging Face's order.

    llama.cpp rotates neighbouring rows (2i, 2i + 1) of a head, Hugging Face rows (i, i + size / 2), so its
    converter interleaves the two halves of every head.
    """
    head_size = array.shape[0] // heads
    return array.reshape(heads, head_size // 2, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
