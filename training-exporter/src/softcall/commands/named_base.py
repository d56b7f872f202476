"""Compares the base that a prompt's file names with the base that it is used with."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from softcall.core.errors import SoftcallError
from softcall.core.printable import printable

if TYPE_CHECKING:
    from softcall.base.bundle import Bundle
    from softcall.prompt_formats import Prompt


def require_named_base(source: Path, prompt: "Prompt", bundle: "Bundle", strict: bool) -> None:
    """Warn on stderr if the names differ; raise `SoftcallError` if `strict`.

    Names prove nothing: equal names may stand for different weights, and different names for the same
    weights.
    """
    if (other := prompt.other_base(bundle.name)) is None:
        return
    message = f"{source}: made for base model {other}; base {bundle.name} may be another one"
    if strict:
        raise SoftcallError(f"{message} (--strict)")
    typer.echo(printable(f"warning: {message}"), err=True)
