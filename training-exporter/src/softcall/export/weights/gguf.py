"""The weights of a GGUF file under their Hugging Face names, read with numpy alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from gguf import GGUFReader, dequantize

from softcall.core.errors import SoftcallError

_LAYER_PARAMETERS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_PARAMETERS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


class GgufWeights(Mapping[str, np.ndarray]):
    """Hugging Face name to float32 array, of a GGUF file whose architecture is `llama`.

    An array is dequantised each time it is asked for, so that memory holds one of them. Raises
    `SoftcallError` for a file that is not readable, of another architecture, or with a tensor that Llama does
    not have.
    """

    def __init__(self, file: Path):
        """Read the header of `file` and map its tensors."""
        try:
            reader = GGUFReader(file)
        except Exception as error:  # the reader fails in many ways on a damaged file
            raise SoftcallError(f"{file} is not a readable GGUF file: {error}") from error
        architecture = _value(reader, file, "general.architecture")
        if architecture != "llama":
            raise SoftcallError(f"{file}: general.architecture is {architecture!r}; 'llama' is expected")
        heads = _value(reader, file, "llama.attention.head_count")
        self._heads = {"attn_q": heads, "attn_k": _value(reader, file, "llama.attention.head_count_kv")}
        self._tensors = {_parameter_name(tensor.name, file): tensor for tensor in reader.tensors}

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


def _parameter_name(tensor: str, file: Path) -> str:
    block, _, rest = tensor.removeprefix("blk.").partition(".")
    part, _, kind = rest.rpartition(".")
    if tensor.startswith("blk.") and part in _LAYER_PARAMETERS:
        return f"model.layers.{block}.{_LAYER_PARAMETERS[part]}.{kind}"
    if tensor in _PARAMETERS:
        return _PARAMETERS[tensor]
    raise SoftcallError(f"{file}: the tensor {tensor} has no place in a Llama")


def _undo_permutation(array: np.ndarray, heads: int) -> np.ndarray:
    """Put the rows of a query or key projection back into Hugging Face's order.

    llama.cpp rotates neighbouring rows (2i, 2i + 1) of a head, Hugging Face rows (i, i + size / 2), so its
    converter interleaves the two halves of every head.
    """
    head_size = array.shape[0] // heads
    return array.reshape(heads, head_size // 2, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
