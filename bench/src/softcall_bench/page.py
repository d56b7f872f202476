"""Pages in docs/ whose figures a command writes."""

from collections.abc import Sequence
from pathlib import Path

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def replace_figures(page: Path, figures: str) -> None:
    """Put `figures` between the page's two marks, in place of what stands there."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
