"""The arithmetic of an int4 trunk in PyTorch, with which the ONNX graph is compared."""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from softcall.base.architectures import architecture_of
from softcall.export.generation import head_parameter
from softcall.export.weights.external_data import TRANSPOSED
from softcall.export.weights.int4 import BLOCK, from_bytes, in_bytes, quantized

ROW_STEPS = 127
"""The largest element of a row's block becomes this many steps."""


class BlockLinear(nn.Module):
    """A linear layer that rounds each 32 elements of a row to 8 bits, the sums behind them, too."""

    def __init__(self, weight: np.ndarray, bias: Tensor | None, inputs: int) -> None:
        """`weight` is [out, in + sums], `inputs` the number of inputs without sums."""
        super().__init__()
        self._weight = torch.from_numpy(weight)
        self._bias = bias
        self._has_sums = weight.shape[1] > inputs

    def forward(self, rows: Tensor) -> Tensor:
        """`rows` are [..., in]; returns [..., out]."""
        parts = [_in_8_bits(rows)]
        if self._has_sums:
            parts.append(_in_8_bits(rows.unflatten(-1, (-1, BLOCK)).sum(-1)))
        return nn.functional.linear(torch.cat(parts, -1), self._weight, self._bias)


def int4_reference(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy of `model` with the arithmetic of its int4 trunk and vocabulary head, without ONNX."""
    parameters = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    architecture = architecture_of(model)
    reference = copy.deepcopy(model).requires_grad_(False)
    for name, module in list(reference.named_modules()):
        if isinstance(module, nn.Linear) and architecture.is_inside_layers(name):
            blocks = quantized(parameters, f"{name}.weight{TRANSPOSED}")
            reference.set_submodule(name, BlockLinear(blocks.with_sums, module.bias, blocks.inputs))
    head = from_bytes(*in_bytes(parameters[head_parameter(model)]))
    reference.set_output_embeddings(BlockLinear(head, None, head.shape[1]))
    embedding = from_bytes(*in_bytes(parameters[architecture.embedding_weight]))
    reference.get_input_embeddings().weight = nn.Parameter(torch.from_numpy(embedding), requires_grad=False)
    return reference


def _in_8_bits(rows: Tensor) -> Tensor:
    """Round each block of rows [..., elements] to its steps."""
    blocks = [_rounded(block) for block in rows.split(BLOCK, -1)]
    return torch.cat(blocks, -1)


def _rounded(block: Tensor) -> Tensor:
    scale = block.abs().amax(-1, keepdim=True) * np.float32(1 / ROW_STEPS)
    return (block / scale).round().nan_to_num() * scale
