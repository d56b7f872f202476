"""The arithmetic of an int8 trunk in PyTorch, with which the ONNX graph is compared."""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from softcall.base.architectures import architecture_of
from softcall.export.generation import head_parameter
from softcall.export.graphs.int8 import ROW_STEPS, ROW_ZERO
from softcall.export.weights.external_data import TRANSPOSED
from softcall.export.weights.int8 import quantized
from softcall.export.weights.smoothing import Smoothed


class QuantizedLinear(nn.Module):
    """A linear layer with integer weights that quantises each row of its input, in float32 arithmetic.

    Sums of products stay below 2^24 for up to about 2,000 inputs; float32 represents such integers exactly.
    """

    def __init__(self, integers: np.ndarray, scales: np.ndarray, bias: Tensor | None) -> None:
        """`integers` are [in, out], `scales` [out]."""
        super().__init__()
        self._integers = torch.from_numpy(integers.astype(np.float32))
        self._scales = torch.from_numpy(scales)
        self._bias = bias

    def forward(self, rows: Tensor) -> Tensor:
        """`rows` are [..., in]; returns [..., out]."""
        scale = rows.abs().amax(-1, keepdim=True) * np.float32(1 / ROW_STEPS)
        steps = (rows / scale).round().clamp(-ROW_ZERO, 255 - ROW_ZERO).nan_to_num()
        product = (steps @ self._integers) * self._scales * scale
        return product if self._bias is None else product + self._bias


def int8_reference(model: PreTrainedModel, factors: Mapping[str, np.ndarray]) -> PreTrainedModel:
    """Return a copy of `model` with the arithmetic of its int8 trunk and vocabulary head, without ONNX."""
    parameters = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    architecture = architecture_of(model)
    smoothed = Smoothed(parameters, factors, architecture)
    reference = copy.deepcopy(model).requires_grad_(False)
    for name, module in list(reference.named_modules()):
        if isinstance(module, nn.Linear) and architecture.is_inside_layers(name):
            bias = f"{name}.bias"
            reference.set_submodule(
                name,
                QuantizedLinear(
                    *quantized(smoothed, f"{name}.weight{TRANSPOSED}"),
                    torch.from_numpy(smoothed[bias]) if bias in parameters else None,
                ),
            )
    head = quantized(smoothed, f"{head_parameter(model)}{TRANSPOSED}")
    reference.set_output_embeddings(QuantizedLinear(*head, None))
    for name, parameter in reference.named_parameters():
        if name in factors:
            parameter.copy_(torch.from_numpy(smoothed[name]))
    integers, scales = quantized(smoothed, architecture.embedding_weight)
    embedding = nn.Parameter(torch.from_numpy(integers * scales), requires_grad=False)
    reference.get_input_embeddings().weight = embedding
    return reference
