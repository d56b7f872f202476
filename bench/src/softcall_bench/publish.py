"""Writes the figures of the last run into docs/benchmarks.md, and its charts beside it."""

from softcall_bench.bars import bars
from softcall_bench.book import Book
from softcall_bench.charts import write_charts
from softcall_bench.machine import Machine
from softcall_bench.page import replace_figures, table
from softcall_bench.report import COLUMNS, OTHER_COLUMNS, capacity_table, other_rows, speed_rows
from softcall_bench.server import ROOT

PAGE = ROOT / "docs/benchmarks.md"
CHARTS = ROOT / "docs/charts"


def publish(book: Book, machine: Machine, when: str, commit: str, quick: bool) -> None:
    """Replace what stands between the page's two marks, and the charts."""
    charts = write_charts(book, CHARTS)
    verdicts = [
        (bar.name, bar.figure_text, bar.wanted_text, bar.verdict, bar.note) for bar in bars(book, machine)
    ]
    parts = [
        f"Measured on {machine}; {when[:10]}, commit {commit[:12]}, `make bench{'-quick' if quick else ''}`.",
        "## Bars",
        table(("", "figure", "wanted", "", ""), verdicts),
        "## Charts",
        *(f"![{title}](charts/{file})" for file, title in charts.items()),
        "## Capacity",
        capacity_table(book, machine),
        "## All figures",
        table(COLUMNS, speed_rows(book)),
        table(OTHER_COLUMNS, other_rows(book)),
        *(f"- {note}" for note in book.notes),
    ]
    replace_figures(PAGE, "\n\n".join(parts))
