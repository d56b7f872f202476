"""`softcall ls`: list the tasks of a store."""

from datetime import datetime
from typing import Annotated

import typer

from softcall.commands.options import EndpointOption, StoreOption
from softcall.core.printable import printable, printable_json
from softcall.stores.addresses import open_store
from softcall.stores.store import StoredTask


def ls(
    store: StoreOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    endpoint_url: EndpointOption = None,
) -> None:
    """List the tasks of a store: name, version, bytes, time of the last change (UTC)."""
    for task in open_store(store, endpoint_url).tasks():
        typer.echo(printable_json(_record(task)) if as_json else _line(task))


def _record(task: StoredTask) -> dict[str, str | int]:
    return {"task": task.task, "version": task.version, "bytes": task.bytes, "modified": utc(task.modified)}


def _line(task: StoredTask) -> str:
    return f"{task.task:<40} {printable(task.version)} {task.bytes:>10} {utc(task.modified)}"


def utc(time: datetime) -> str:
    """Return a time to the second, as `2026-01-31T09:30:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
