"""The one error type that reaches a user as a message instead of a traceback."""

from softcall.core.printable import printable


class SoftcallError(Exception):
    """An error that the user can act on: the message names the thing, its value, and what would be accepted.

    Messages quote files, stores and servers, so every message is made printable here.
    """

    def __init__(self, message: str) -> None:
        """`message` may hold foreign text."""
        super().__init__(printable(message))
