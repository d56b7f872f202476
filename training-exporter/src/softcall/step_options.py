"""Options of the commands that train: where and how steps are computed."""

from typing import Annotated

import typer

from softcall.train_config import Device

DeviceOption = Annotated[Device, typer.Option(help="auto takes CUDA where there is any.")]
CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Fuse the kernels of the base's layers with torch.compile, which needs a C compiler and a "
        "minute; worth it on a GPU from some hundred steps.",
    ),
]
