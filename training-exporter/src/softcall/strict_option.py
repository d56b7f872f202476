"""The option of the commands that warn of a prompt which may not belong to its base."""

from typing import Annotated

import typer

StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Refuse a prompt whose file names another base model, instead of warning."),
]
