"""Exports a base bundle from a model with PyTorch."""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from safetensors.numpy import save_file
from transformers import PreTrainedModel

from softcall.base.architectures import positions_served, require_expressible
from softcall.base.bundle import (
    DEFAULT_VARIANTS,
    DESCRIPTION_FILE,
    FP16,
    FULL_PRECISION,
    INT4,
    INT8,
    REPLACE_ADVICE,
    TOKENIZER_FILE,
    Bundle,
    Golden,
    OutputEmbedding,
    Variant,
    VariantGolden,
)
from softcall.base.fingerprint import unscaled_kv_layout
from softcall.base.identity import head_dim
from softcall.base.source import LoadedBase
from softcall.core.errors import SoftcallError
from softcall.core.new_folder import new_folder
from softcall.core.progress import QUIET, step
from softcall.core.regular_file import file_sha256
from softcall.export import generation_parity, parity
from softcall.export.calibration import smoothing_factors
from softcall.export.generation import eos_token_ids, head_parameter, write_generation, writes_texts
from softcall.export.graphs.fp16 import fp16_graph
from softcall.export.graphs.fp32 import fp32_graph
from softcall.export.graphs.int4 import int4_graph
from softcall.export.graphs.int8 import int8_graph
from softcall.export.graphs.trunk import trunk_graph
from softcall.export.int4_reference import int4_reference
from softcall.export.int8_reference import int8_reference
from softcall.export.weights import smoothing
from softcall.export.weights.external_data import external_weights
from softcall.export.weights.variants import (
    DATA_FILE,
    FILES,
    GRAPH_FILE,
    SMOOTHING_FILE,
    write_variant_weights,
)

GOLDEN_TEXT = "Softcall runs this row when it starts: 1, 2, 3."
GOLDEN_TEXT_TOKENS = 24
GOLDEN_PROMPT_TOKENS = 4
GOLDEN_TOLERANCE = 1e-3
ROUNDED_TOLERANCE = 0.1
ROUNDED_GOLDEN_TOLERANCE = 0.2
"""Of int8 and int4. Wide, because elements between two steps may be rounded to either, and in int4 by some
processors not at all; damaged weights are off by about 1."""

FP16_TOLERANCE = 0.02
FP16_GOLDEN_TOLERANCE = 0.05
"""Float16 keeps 11 bits, and a processor rounds elsewhere than a GPU."""

OUTPUT_EMBEDDING_FILE = "output_embedding.safetensors"


def export_base(
    base: LoadedBase,
    out: Path,
    *,
    name: str | None = None,
    max_positions: int | None = None,
    variants: Sequence[str] = DEFAULT_VARIANTS,
    replace: bool = False,
    console: Console = QUIET,
) -> tuple[Bundle, Sequence[parity.Measurement]]:
    """Write the base bundle of `base` into the new folder `out`; return it and what parity measured.

    `name` overrides the source's name, `max_positions` serves fewer positions than the model has, `replace`
    allows `out` to be a bundle already. `variants` are those wanted; full precision is always there, because
    it encodes the prompts. Raises `SoftcallError`, leaving nothing behind, for a model that the graph cannot
    express and for a graph whose hidden rows differ from the eager model's.
    """
    positions = positions_served(base.model.config, max_positions)
    require_expressible(base.model.config, positions)
    _require_tokenizer_fits(base)
    with new_folder(
        Path(out), replaceable=DESCRIPTION_FILE if replace else None, advice=REPLACE_ADVICE
    ) as folder:
        with step(console, "trace the model"):
            traced = trunk_graph(base.model)
            graph = fp32_graph(traced)
        written = {FULL_PRECISION: _write_variant(FULL_PRECISION, graph, base, folder, console)}
        output_embedding = _write_output_embedding(graph, base, folder)
        (folder / TOKENIZER_FILE).write_text(base.tokenizer.to_str(), "utf-8")
        with step(console, "compute the golden row"):
            golden = _golden(base)
        models = {FULL_PRECISION: base.model}
        if INT8 in variants:
            written[INT8], models[INT8] = _write_int8(graph, base, folder, golden, console)
        if INT4 in variants:
            written[INT4], models[INT4] = _write_int4(graph, base, folder, golden, console)
        if writes_texts(base.model):
            _write_generation(written, models, base, folder, golden, console)
        if FP16 in variants:
            own = VariantGolden(golden.hidden, FP16_GOLDEN_TOLERANCE)
            written[FP16] = _write_variant(FP16, fp16_graph(traced), base, folder, console, own)
        bundle = _describe(base, folder, name or base.name, positions, golden, written, output_embedding)
        bundle.write_description()
        measurements = _measure(base.model, bundle, FULL_PRECISION, console)
        parity.require_parity(measurements)
        bundle.check_golden(FULL_PRECISION)
        for variant in [each for each in models if each != FULL_PRECISION]:
            own = _measure(models[variant], bundle, variant, console)
            parity.require_typical_parity(own, ROUNDED_TOLERANCE)
            bundle.check_golden(variant)
            measurements += own
        if writes_texts(base.model):
            measurements += _measure_generation(models, bundle, console)
        if FP16 in variants:
            fp16_measurements = _measure(base.model, bundle, FP16, console)
            parity.require_parity(fp16_measurements, FP16_TOLERANCE)
            bundle.check_golden(FP16)
            measurements += fp16_measurements
    return Bundle.open(out), measurements


def _write_int8(
    full: onnx.ModelProto, base: LoadedBase, folder: Path, golden: Golden, console: Console
) -> tuple[Variant, PreTrainedModel]:
    """Write the int8 variant; return it and the PyTorch model with its arithmetic."""
    target = folder / INT8
    target.mkdir()
    with step(console, "calibrate int8"):
        factors = smoothing_factors(
            folder / FULL_PRECISION / GRAPH_FILE, _parameters(base), base.tokenizer, base.architecture
        )
        smoothing.save(factors, target / SMOOTHING_FILE)
    reference = int8_reference(base.model, factors)
    hidden = parity.eager_hidden(reference, golden.input_ids, golden.prompt_embeds)
    own = VariantGolden(hidden, ROUNDED_GOLDEN_TOLERANCE)
    return _write_variant(INT8, int8_graph(full), base, folder, console, own), reference


def _write_int4(
    full: onnx.ModelProto, base: LoadedBase, folder: Path, golden: Golden, console: Console
) -> tuple[Variant, PreTrainedModel]:
    """Write the int4 variant; return it and the PyTorch model with its arithmetic."""
    with step(console, "round to int4"):
        graph, reference = int4_graph(full), int4_reference(base.model)
    hidden = parity.eager_hidden(reference, golden.input_ids, golden.prompt_embeds)
    own = VariantGolden(hidden, ROUNDED_GOLDEN_TOLERANCE)
    return _write_variant(INT4, graph, base, folder, console, own), reference


def _write_variant(
    name: str,
    graph: onnx.ModelProto,
    base: LoadedBase,
    folder: Path,
    console: Console,
    golden: VariantGolden | None = None,
) -> Variant:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / GRAPH_FILE).write_bytes(graph.SerializeToString(deterministic=True))
    write_variant_weights(name, folder / name, _parameters(base), base.architecture, console)
    hashes = {f"{name}/{file}": file_sha256(folder / name / file) for file in FILES[name]}
    return Variant(f"{name}/{GRAPH_FILE}", hashes, unscaled_kv_layout(base.fingerprint), golden)


def _write_generation(
    written: dict[str, Variant],
    models: Mapping[str, PreTrainedModel],
    base: LoadedBase,
    folder: Path,
    golden: Golden,
    console: Console,
) -> None:
    """Give the variants of `models`, which have their arithmetic, what they need to write texts."""
    parameter = head_parameter(base.model)
    for variant, model in models.items():
        own = write_generation(
            variant, folder, model, parameter, golden, _parameters(base), base.architecture, console
        )
        written[variant] = dataclasses.replace(written[variant], generation=own)


def _write_output_embedding(graph: onnx.ModelProto, base: LoadedBase, folder: Path) -> OutputEmbedding:
    """Return the input embedding's place in the trunk's weights if the two are tied; else write a file."""
    embedding, head = (
        each.weight for each in (base.model.get_input_embeddings(), base.model.get_output_embeddings())
    )
    if head.data_ptr() == embedding.data_ptr():
        offset = external_weights(graph)[base.architecture.embedding_weight].offset
        return OutputEmbedding(f"{FULL_PRECISION}/{DATA_FILE}", tuple(embedding.shape), offset=offset)
    save_file({"weight": head.numpy()}, folder / OUTPUT_EMBEDDING_FILE)
    return OutputEmbedding(OUTPUT_EMBEDDING_FILE, tuple(head.shape), tensor="weight")


def _golden(base: LoadedBase) -> Golden:
    ids = base.tokenizer.encode(GOLDEN_TEXT, add_special_tokens=False).ids[:GOLDEN_TEXT_TOKENS]
    prompt = parity.random_prompts(base.model, 1)[0][:GOLDEN_PROMPT_TOKENS].round(4)
    return Golden(tuple(ids), prompt, parity.eager_hidden(base.model, ids, prompt), GOLDEN_TOLERANCE)


def _describe(
    base: LoadedBase,
    folder: Path,
    name: str,
    positions: int,
    golden: Golden,
    variants: Mapping[str, Variant],
    output_embedding: OutputEmbedding,
) -> Bundle:
    config = base.model.config
    bos, eos, pad = (_first(getattr(config, f"{token}_token_id", None)) for token in ("bos", "eos", "pad"))
    return Bundle(
        folder=folder,
        name=name,
        architecture=type(base.model).__name__,
        fingerprint=base.fingerprint,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=head_dim(config),
        vocab_size=config.vocab_size,
        max_position_embeddings=positions,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=next((token for token in (pad, eos) if token is not None), 0),
        output_embedding_location=output_embedding,
        golden=golden,
        variants=variants,
        eos_token_ids=eos_token_ids(base.model),
        chat_template_location=base.chat_template and base.chat_template.write(folder),
        exporter={package: version(package) for package in ("softcall", "torch", "transformers", "onnx")},
    )


def _measure(
    model: PreTrainedModel, bundle: Bundle, variant: str, console: Console
) -> list[parity.Measurement]:
    with step(console, f"compare {variant} with PyTorch"):
        onnx.checker.check_model(bundle.folder / bundle.variant(variant).graph)
        trunk = bundle.trunk(variant)
        encoder = bundle.trunk(FULL_PRECISION) if variant == FP16 else trunk
        return parity.measure(model, trunk, encoder, bundle.max_position_embeddings, variant)


def _measure_generation(
    models: Mapping[str, PreTrainedModel], bundle: Bundle, console: Console
) -> list[parity.Measurement]:
    measurements = []
    for variant, model in models.items():
        with step(console, f"write texts with {variant}"):
            own = generation_parity.measure(model, bundle, variant)
        if variant == FULL_PRECISION:
            parity.require_parity(own)
        else:
            parity.require_typical_parity(own, ROUNDED_TOLERANCE)
        measurements += own
    return measurements


def _parameters(base: LoadedBase) -> Mapping[str, np.ndarray]:
    return {name: parameter.detach().numpy() for name, parameter in base.model.named_parameters()}


def _require_tokenizer_fits(base: LoadedBase) -> None:
    if (tokens := base.tokenizer.get_vocab_size()) > base.model.config.vocab_size:
        raise SoftcallError(
            f"the tokenizer has {tokens} tokens, the model's vocab_size is {base.model.config.vocab_size}"
        )


def _first(token_id: int | list[int] | None) -> int | None:
    """Return the first token of those that some configurations list."""
    return token_id[0] if isinstance(token_id, list) else token_id
