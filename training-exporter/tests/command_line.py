"""The commands as a user types them, in this process, and what they put into a store."""

import pytest
from typer.testing import CliRunner

from softcall.artifact.artifact import Artifact
from softcall.cli import app
from softcall.core.errors import SoftcallError
from softcall.stores.addresses import open_store


def softcall(*arguments, **options) -> str:
    """Give what a command prints; `options` are those of typer's runner, such as `input`."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], **options)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def refusal(*arguments) -> str:
    """Give the error with which a command refuses."""
    with pytest.raises(SoftcallError) as refused:
        softcall(*arguments)
    return str(refused.value)


def stored(store: str, task: str) -> Artifact:
    """Give the artifact of a task in the store at this address."""
    return Artifact.from_bytes(open_store(store).get(task)[0])
