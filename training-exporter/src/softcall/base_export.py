"""Export a base bundle from a model with PyTorch."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from safetensors.numpy import save_file

from softcall import parity
from softcall.architectures import positions_served, require_expressible
from softcall.bundle import (
    DESCRIPTION_FILE,
    FULL_PRECISION,
    TOKENIZER_FILE,
    Bundle,
    Golden,
    OutputEmbedding,
    Variant,
)
from softcall.default_base import sha256_of
from softcall.errors import SoftcallError
from softcall.fingerprint import unscaled_kv_layout
from softcall.new_folder import new_folder
from softcall.progress import QUIET, step
from softcall.source import LoadedBase
from softcall.trunk_graph import DATA_FILE, GRAPH_FILE, head_dim, trunk_graph
from softcall.trunk_weights import external_weights, write_weights

GOLDEN_TEXT = "Softcall runs this row when it starts: 1, 2, 3."
GOLDEN_TEXT_TOKENS = 24
GOLDEN_PROMPT_TOKENS = 4
GOLDEN_TOLERANCE = 1e-3
OUTPUT_EMBEDDING_FILE = "output_embedding.safetensors"


def export_base(
    base: LoadedBase,
    out: Path,
    *,
    name: str | None = None,
    max_positions: int | None = None,
    replace: bool = False,
    console: Console = QUIET,
) -> tuple[Bundle, Sequence[parity.Measurement]]:
    """Write the base bundle of `base` into the new folder `out`; return it and what parity measured.

    `name` overrides the source's name, `max_positions` serves fewer positions than the model has, `replace`
    allows `out` to be a bundle already. Raises `SoftcallError`, leaving nothing behind, for a model that the
    graph cannot express and for a graph whose hidden rows differ from the eager model's.
    """
    positions = positions_served(base.model.config, max_positions)
    require_expressible(base.model.config, positions)
    _require_tokenizer_fits(base)
    with new_folder(Path(out), replaceable=DESCRIPTION_FILE if replace else None) as folder:
        with step(console, "trace the model"):
            graph = trunk_graph(base.model)
        variant = _write_full_precision(graph, base, folder, console)
        output_embedding = _write_output_embedding(graph, base, folder)
        (folder / TOKENIZER_FILE).write_text(base.tokenizer.to_str(), "utf-8")
        with step(console, "compute the golden row"):
            golden = _golden(base)
        bundle = _describe(base, folder, name or base.name, positions, golden, variant, output_embedding)
        bundle.write_description()
        measurements = _check(base, bundle, console)
    return Bundle.open(out), measurements


def _write_full_precision(
    graph: onnx.ModelProto, base: LoadedBase, folder: Path, console: Console
) -> Variant:
    target = folder / FULL_PRECISION
    target.mkdir()
    total = sum(info.length for info in external_weights(graph).values())
    with step(console, "write the weights", total) as advance:
        write_weights(graph, _parameters(base), target, advance)
    (target / GRAPH_FILE).write_bytes(graph.SerializeToString(deterministic=True))
    files = [f"{FULL_PRECISION}/{file}" for file in (GRAPH_FILE, DATA_FILE)]
    hashes = {file: sha256_of(folder / file) for file in files}
    return Variant(files[0], hashes, unscaled_kv_layout(base.fingerprint))


def _write_output_embedding(graph: onnx.ModelProto, base: LoadedBase, folder: Path) -> OutputEmbedding:
    """Point at the input embedding inside the trunk's weights where the two are tied, else write a file."""
    embedding, head = (
        each.weight for each in (base.model.get_input_embeddings(), base.model.get_output_embeddings())
    )
    if head.data_ptr() == embedding.data_ptr():
        offset = external_weights(graph)["model.embed_tokens.weight"].offset
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
    variant: Variant,
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
        variants={FULL_PRECISION: variant},
        exporter={package: version(package) for package in ("softcall", "torch", "transformers", "onnx")},
    )


def _check(base: LoadedBase, bundle: Bundle, console: Console) -> Sequence[parity.Measurement]:
    with step(console, "compare with the eager model"):
        onnx.checker.check_model(bundle.folder / bundle.variant().graph)
        trunk = bundle.trunk()
        measurements = parity.measure(base.model, trunk, bundle.max_position_embeddings)
        parity.require_parity(measurements)
        bundle.check_golden()
    return measurements


def _parameters(base: LoadedBase) -> Mapping[str, np.ndarray]:
    return {name: parameter.numpy() for name, parameter in base.model.named_parameters()}


def _require_tokenizer_fits(base: LoadedBase) -> None:
    if (tokens := base.tokenizer.get_vocab_size()) > base.model.config.vocab_size:
        raise SoftcallError(
            f"the tokenizer has {tokens} tokens, the model's vocab_size is {base.model.config.vocab_size}"
        )


def _first(token_id: int | list[int] | None) -> int | None:
    """Some configurations list several end tokens; the first one stands for them."""
    return token_id[0] if isinstance(token_id, list) else token_id
