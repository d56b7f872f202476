"""`softcall export`: a stored task as a plain PEFT folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softcall.commands.options import EndpointOption, StoreOption
from softcall.core.printable import printable
from softcall.stores.addresses import open_store

if TYPE_CHECKING:
    from softcall.artifact.artifact import Artifact


def export(
    task: Annotated[str, typer.Argument(help="The task's name.", metavar="TASK", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The folder to make.", metavar="DIR", show_default=False)],
    store: StoreOption,
    endpoint_url: EndpointOption = None,
) -> None:
    """Make a plain PEFT folder of a stored task, with a task.json from which `softcall push` makes it again.

    Example: softcall export acme/spam spam-prompt --store s3://models/prompts
    """
    from softcall.artifact.artifact import Artifact

    opened = open_store(store, endpoint_url)
    data, version = opened.get(task)
    artifact = Artifact.from_bytes(data, f"store {opened.address}: task {task}")
    write_artifact(artifact, out, f"version {printable(version)} of {task}")


def write_artifact(artifact: "Artifact", out: Path, origin: str) -> None:
    """Make the folder, and report its content and where its label head is."""
    from softcall.prompt_formats.peft_output import has_trained_head, write_task

    write_task(out, artifact)
    typer.echo(f"{out}: {artifact.tokens} tokens of {artifact.prompt.shape[1]}, {origin}")
    if has_trained_head(artifact):
        bias = artifact.label_bias.any()
        typer.echo(
            "note: the trained label head lies beside the prompt; `softcall push` reads it, PEFT does not"
            if bias
            else "note: the trained label head is the classifier of a SEQ_CLS model",
            err=True,
        )
