"""Pages in docs/ whose figures a command writes."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
WIDTH = 118  # deploy/lint allows lines of 120


def replace_figures(page: Path, figures: str) -> None:
    """Put `figures` between the page's two marks, in place of what stands there."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}")


def prose(text: str) -> str:
    """A paragraph, or an item of a list, in short lines."""
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
