"""Exports what a variant needs to write texts: its decode graph and its vocabulary head."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from transformers import PreTrainedModel

from softcall.base.architectures import Architecture
from softcall.base.bundle import FULL_PRECISION, INT4, INT8, Golden
from softcall.base.generation import Generation, GoldenLogits
from softcall.base.identity import head_dim
from softcall.core.errors import SoftcallError
from softcall.core.regular_file import file_sha256
from softcall.export import parity
from softcall.export.graphs.decode import HEAD_MULTIPLE, decode_graph
from softcall.export.graphs.lm_head import fp32_lm_head, int4_lm_head, int8_lm_head
from softcall.export.weights.variants import (
    DECODE_FILE,
    GRAPH_FILE,
    LM_HEAD_FILE,
    generation_files,
    write_variant_weights,
)

TOLERANCES = {FULL_PRECISION: 1e-3, INT8: 0.2, INT4: 0.2}
"""As wide as the golden rows', which the logits follow; damaged weights are off by about 1."""

_HEADS = {FULL_PRECISION: fp32_lm_head, INT8: int8_lm_head, INT4: int4_lm_head}


def writes_texts(model: PreTrainedModel) -> bool:
    """Whether a decode graph can express the model: ONNX Runtime's operator wants a multiple in each head."""
    return head_dim(model.config) % HEAD_MULTIPLE == 0


def head_parameter(model: PreTrainedModel) -> str:
    """Return the name of the vocabulary head's weight: the input embedding's where the two are tied.

    Raises `SoftcallError` for a head with a bias, which no accepted architecture has.
    """
    head = model.get_output_embeddings()
    if head.bias is not None:
        raise SoftcallError("the vocabulary head has a bias; only heads without one are accepted")
    return next(
        name for name, parameter in model.named_parameters() if parameter.data_ptr() == head.weight.data_ptr()
    )


def write_generation(
    variant: str,
    folder: Path,
    model: PreTrainedModel,
    parameter: str,
    golden: Golden,
    parameters: Mapping[str, np.ndarray],
    architecture: Architecture,
    console: Console,
) -> Generation:
    """Write a variant's decode graph and head into a bundle's folder, which has the variant's trunk already.

    `model` has the variant's arithmetic, `parameter` is its head's weight among the base's `parameters`.
    """
    target, config = folder / variant, model.config
    trunk = onnx.load(target / GRAPH_FILE, load_external_data=False)
    head = _HEADS[variant](trunk, parameter, config.vocab_size, config.hidden_size)
    for file, graph in ((DECODE_FILE, decode_graph(trunk)), (LM_HEAD_FILE, head)):
        (target / file).write_bytes(graph.SerializeToString(deterministic=True))
    write_variant_weights(variant, target, parameters, architecture, console, LM_HEAD_FILE)
    logits = parity.eager_logits(model, golden.input_ids, golden.prompt_embeds)[-1]
    return Generation(
        f"{variant}/{DECODE_FILE}",
        f"{variant}/{LM_HEAD_FILE}",
        {f"{variant}/{file}": file_sha256(target / file) for file in generation_files(head)},
        GoldenLogits.largest_of(logits, TOLERANCES[variant]),
    )


def eos_token_ids(model: PreTrainedModel) -> tuple[int, ...]:
    """Return the ids that end a text: those of `generation_config.json`, else of the configuration."""
    for source in (model.generation_config, model.config):
        ids = getattr(source, "eos_token_id", None)
        if ids is not None:
            return tuple(ids) if isinstance(ids, list) else (ids,)
    return ()
