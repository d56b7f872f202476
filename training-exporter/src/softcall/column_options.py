"""The options by which commands that read labelled texts are told of their columns."""

from typing import Annotated

import typer

TextColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        help="The column of the text; given twice: the two of a pair.",
        metavar="NAME",
        show_default="found by its name",
    ),
]

LabelColumnOption = Annotated[
    str | None,
    typer.Option(help="The column of the label.", metavar="NAME", show_default="found by its name"),
]
