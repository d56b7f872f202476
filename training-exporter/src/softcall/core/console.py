"""Lines of text on a console."""

from rich.console import Console


def print_plain(console: Console, text: str) -> None:
    """Print `text` as it is: rich neither highlights nor wraps it, and reads no markup in it."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
