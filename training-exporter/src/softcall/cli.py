"""The command line `softcall`."""

import os
import sys
from contextlib import suppress
from typing import NoReturn

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
from softcall.core.errors import SoftcallError
from softcall.core.printable import printable

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
    """Run the command line; print an error that the user can act on in one line, and exit with status 1."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # finds a full disk here instead of at the interpreter's exit
    except SoftcallError as error:
        _fail(str(error))
    except OSError as error:
        _give_up_output()
        _fail(told(error))
    except MemoryError:
        _fail("there is not enough memory; a smaller file, batch or base may do")


def told(error: OSError) -> str:
    """Return the file and the reason of an error."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def _fail(message: str) -> NoReturn:
    with suppress(OSError):
        typer.secho(f"softcall: {printable(message)}", fg=typer.colors.RED, err=True)
    sys.exit(1)


def _give_up_output() -> None:
    """Discard unwritable output, which the interpreter would otherwise write again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
