"""`softcall rm`: remove a task from a store."""

from typing import Annotated

import typer

from softcall.commands.options import EndpointOption, StoreOption
from softcall.core.errors import SoftcallError
from softcall.stores.addresses import open_store
from softcall.stores.store import check_task


def rm(
    task: Annotated[str, typer.Argument(help="The task's name.", metavar="TASK", show_default=False)],
    store: StoreOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    endpoint_url: EndpointOption = None,
) -> None:
    """Remove a task from a store; from their next call on, servers answer 404 for it."""
    check_task(task)
    opened = open_store(store, endpoint_url)
    if not yes and not typer.confirm(f"Remove {task} from {opened.address}?"):
        raise SoftcallError("nothing was removed")
    opened.delete(task)
    typer.echo(f"removed {task} from {opened.address}")
