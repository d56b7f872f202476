"""The one error type that reaches a user as a message instead of a traceback."""

from softcall.core.printable import printable


class SoftcallError(Exception):
    """Something the user can act on: names the thing, the value, and what would be accepted.

    Messages quote what files, stores and servers say, so they are made printable here, for all at once.
    """

    def __init__(self, message: str) -> None:
        """`message` may hold foreign text."""
        super().__init__(printable(message))
