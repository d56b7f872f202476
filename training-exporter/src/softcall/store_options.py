"""The options by which every command that speaks to a store finds it."""

from typing import Annotated

import typer

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
