"""Exports bases without PyTorch, from graphs that this package keeps without their weights.

A folder of `softcall/graphs` is a base bundle without weights, which come from the GGUF file of the base.
After a change of the exporter this command makes it anew:

    softcall base OUT --keep-graph src/softcall/graphs/SmolLM2-135M-Instruct-Q4_1
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from softcall.base.bundle import (
    DEFAULT_VARIANTS,
    DESCRIPTION_FILE,
    FULL_PRECISION,
    REPLACE_ADVICE,
    TOKENIZER_FILE,
    Bundle,
)
from softcall.base.default_base import GRAPHS
from softcall.base.fingerprint import fingerprint
from softcall.base.source import Source
from softcall.core.errors import SoftcallError
from softcall.core.new_folder import new_folder
from softcall.core.progress import QUIET, step
from softcall.core.regular_file import file_sha256
from softcall.export.weights.gguf import GgufWeights
from softcall.export.weights.variants import (
    DATA_FILE,
    GRAPH_FILE,
    LM_HEAD_DATA_FILE,
    LM_HEAD_FILE,
    write_variant_weights,
)


def kept_graphs() -> list[str]:
    """Return the names of the bases with a kept graph."""
    return sorted(file.parent.name for file in GRAPHS.glob(f"*/{DESCRIPTION_FILE}"))


def base_from_graph(
    source: Source,
    out: Path,
    *,
    name: str | None = None,
    variants: Sequence[str] = DEFAULT_VARIANTS,
    overwrite: bool = False,
    console: Console = QUIET,
) -> tuple[Bundle, Mapping[str, float]]:
    """Write a base bundle into the new folder `out` from a kept graph and the GGUF file of `source`.

    `variants` are those wanted; full precision is always there. Returns the bundle and, by variant, the
    golden row's relative difference. Raises `SoftcallError`, leaving nothing behind, where no graph is kept
    for these weights, and where anything differs from what PyTorch computed.
    """
    if not source.is_gguf:
        raise SoftcallError(f"{source.path}: --from-graph takes its weights from a GGUF file")
    weights = GgufWeights(source.path)
    with step(console, "identify the weights"):
        kept = _graph_of(fingerprint(weights), source)
        wanted = {FULL_PRECISION, *variants}
        if missing := wanted - kept.variants.keys():
            raise SoftcallError(f"{kept.name}: no graph is kept of the variant {', '.join(sorted(missing))}")
        kept = replace(kept, variants={v: kept.variants[v] for v in kept.variants if v in wanted})
    with new_folder(
        Path(out), replaceable=DESCRIPTION_FILE if overwrite else None, advice=REPLACE_ADVICE
    ) as folder:
        for file in kept_files(kept):
            (folder / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(kept.folder / file, folder / file)
        for variant in kept.variants:
            graphs = (GRAPH_FILE, LM_HEAD_FILE) if kept.variants[variant].generation else (GRAPH_FILE,)
            for graph in graphs:
                write_variant_weights(
                    variant, folder / variant, weights, weights.architecture, console, graph
                )
        bundle = replace(kept, folder=folder, name=name or kept.name)
        bundle.write_description()
        with step(console, "check files and golden row"):
            _require_files(bundle)
            differences = {variant: bundle.check_golden(variant) for variant in bundle.variants}
    return Bundle.open(out), differences


def keep_graph(bundle: Bundle, folder: Path) -> None:
    """Copy a bundle without its weights into `folder`, replacing what is there."""
    with new_folder(folder, replaceable=DESCRIPTION_FILE) as target:
        for file in kept_files(bundle):
            (target / file).parent.mkdir(exist_ok=True)
            shutil.copyfile(bundle.folder / file, target / file)


def kept_files(bundle: Bundle) -> list[str]:
    """Return the files of a bundle that are kept: all but the weights."""
    weights = (DATA_FILE, LM_HEAD_DATA_FILE)
    return [DESCRIPTION_FILE, TOKENIZER_FILE, *(f for f in bundle.files if Path(f).name not in weights)]


def _graph_of(weights: str, source: Source) -> Bundle:
    for name in kept_graphs():
        bundle = Bundle.open(GRAPHS / name)
        if bundle.fingerprint == weights:
            return bundle
    raise SoftcallError(
        f"no graph is kept for the weights of {source.path} (fingerprint {weights}), only for "
        f"{', '.join(kept_graphs())}; without --from-graph the model is exported with PyTorch"
    )


def _require_files(bundle: Bundle) -> None:
    """Check that the weights written by numpy equal, byte for byte, those that PyTorch exported."""
    for file, expected in bundle.files.items():
        if (found := file_sha256(bundle.folder / file)) != expected:
            raise SoftcallError(
                f"{file}: sha256 {found}, {expected} is expected: the kept graph is out of date"
            )
