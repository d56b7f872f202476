"""`softcall show`: print the metadata of a stored task."""

from typing import Annotated, Any

import typer

from softcall.commands.options import EndpointOption, StoreOption
from softcall.core.printable import printable, printable_json
from softcall.stores.addresses import open_store


def show(
    task: Annotated[str, typer.Argument(help="The task's name.", metavar="TASK", show_default=False)],
    store: StoreOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    endpoint_url: EndpointOption = None,
) -> None:
    """Show a task: version, size, base, template, labels or settings, and how it was trained."""
    from softcall.artifact.artifact import Artifact

    opened = open_store(store, endpoint_url)
    data, version = opened.get(task)
    artifact = Artifact.from_bytes(data, f"store {opened.address}: task {task}")
    record = {
        "task": task,
        "version": version,
        "bytes": len(data),
        "prompt_tokens": artifact.tokens,
        **({} if artifact.hidden_size is None else {"hidden_size": artifact.hidden_size}),
        **artifact.metadata,
    }
    if as_json:
        typer.echo(printable_json(record))
    else:
        for name, value in record.items():
            _print(name, value)


def _print(name: str, value: Any, indent: str = "") -> None:
    if isinstance(value, dict) and value:
        typer.echo(f"{indent}{printable(name)}:")
        for inner, item in value.items():
            _print(inner, item, indent + "  ")
    else:
        typer.echo(f"{indent}{printable(name)}: {printable_json(value)}")
