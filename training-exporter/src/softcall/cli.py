"""The command line `softcall`."""

import sys

import typer

from softcall.commands.base import base
from softcall.commands.compare import compare
from softcall.commands.convert import convert
from softcall.commands.data import data
from softcall.commands.eval import evaluate
from softcall.commands.export import export
from softcall.commands.ls import ls
from softcall.commands.push import push
from softcall.commands.rm import rm
from softcall.commands.show import show
from softcall.commands.train import train
from softcall.errors import SoftcallError

app = typer.Typer(
    name="softcall",
    help="Train soft prompts for a frozen language model, export the model as ONNX, publish the prompts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(base)
app.command()(compare)
app.command()(convert)
app.command()(data)
app.command("eval")(evaluate)
app.command()(export)
app.command()(ls)
app.command()(push)
app.command()(rm)
app.command()(show)
app.command()(train)


def main() -> None:
    """Run the command line; a `SoftcallError` becomes one line on stderr and exit status 1."""
    try:
        app()
    except SoftcallError as error:
        typer.secho(f"softcall: {error}", fg=typer.colors.RED, err=True)
        sys.exit(1)
