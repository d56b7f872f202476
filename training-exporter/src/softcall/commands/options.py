"""Options that several commands share."""

from typing import Annotated

import typer

from softcall.training.settings.config import Device
from softcall.training.settings.sweep import LEARNING_RATES

RATES_TOLD = ", ".join(f"{rate} for {prompt} prompts" for prompt, rate in LEARNING_RATES.items())
"""How the help shows the learning rates of prompts."""

StoreOption = Annotated[
    str,
    typer.Option(
        help="s3://bucket/prefix or file:/dir.", envvar="SOFTCALL_STORE", metavar="STORE", show_default=False
    ),
]

EndpointOption = Annotated[
    str | None,
    typer.Option(
        help="S3-compatible server other than AWS, such as http://localhost:9000 (or AWS_ENDPOINT_URL).",
        metavar="URL",
        show_default=False,
    ),
]

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

DeviceOption = Annotated[Device, typer.Option(help="auto takes CUDA where there is any.")]

CalibrationFoldsOption = Annotated[
    int,
    typer.Option(
        help="Fit the temperature on dev and on the training rows: K more prompts learn, each without a K-th "
        "of them, and answer that. 0: on dev alone.",
        metavar="K",
    ),
]

CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Fuse the kernels of the base's layers with torch.compile, which needs a C compiler and a "
        "minute; worth it on a GPU from some hundred steps.",
    ),
]

StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Refuse a prompt whose file names another base model, instead of warning."),
]
