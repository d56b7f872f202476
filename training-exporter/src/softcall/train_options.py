"""Options that the commands that train share."""

from typing import Annotated

import typer

from softcall.training.settings.config import Device

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
