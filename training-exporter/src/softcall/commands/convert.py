"""`softcall convert`: any prompt as a plain PEFT folder."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from softcall.commands.export import write_artifact
from softcall.commands.options import StrictOption
from softcall.core.errors import SoftcallError


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder made by PEFT, decoder.pt of TGIS, a .npy array, or an artifact.",
            metavar="SOURCE",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The folder to make.", metavar="OUT", show_default=False)],
    base: Annotated[
        Path | None,
        typer.Option(
            help="Base bundle that the prompt is meant for: its size and its name are held against it.",
            show_default=False,
        ),
    ] = None,
    strict: StrictOption = False,
    task_id: Annotated[
        int | None,
        typer.Option(
            help="Multitask prompt tuning: which of its tasks, from 0.", metavar="N", show_default=False
        ),
    ] = None,
) -> None:
    """Make a plain PEFT folder, which PeftModel.from_pretrained loads, of a prompt in another format.

    Example: softcall convert multitask-folder spam-prompt --task-id 2
    """
    from softcall.artifact.artifact import Artifact
    from softcall.base.bundle import Bundle
    from softcall.commands.named_base import require_named_base
    from softcall.prompt_formats import read_prompt
    from softcall.prompt_formats.peft_output import write_prompt

    if strict and base is None:
        raise SoftcallError("--strict needs --base, the folder made by `softcall base`")
    bundle = None if base is None else Bundle.open(base)

    if (opened := Artifact.open(source)) is not None:
        if task_id is not None:
            raise SoftcallError(f"{source}: --task-id is {task_id}, but an artifact holds one prompt alone")
        if bundle is not None:
            opened[0].require_base(bundle.identity)
        write_artifact(opened[0], out, "a task artifact")
        return
    prompt = read_prompt(source, task_id)
    if bundle is not None:
        try:
            prompt = replace(prompt, prompt_type=prompt.type_on(bundle.identity))
        except SoftcallError as error:
            raise SoftcallError(f"{source}: {error}") from None
        require_named_base(source, prompt, bundle, strict)
    write_prompt(out, prompt)
    tokens, width = prompt.vectors.shape
    typer.echo(f"{out}: {tokens} tokens of {width}, {prompt.made_as}")
