"""The one error type that reaches a user as a message instead of a traceback."""


class SoftcallError(Exception):
    """Something the user can act on: names the thing, the value, and what would be accepted."""
