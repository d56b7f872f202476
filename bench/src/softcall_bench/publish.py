"""Writes the figures of a run into a page of docs/, and its charts beside it."""

from pathlib import Path

from softcall_bench.bars import bars
from softcall_bench.book import Book
from softcall_bench.charts import write_charts
from softcall_bench.local_server import ROOT
from softcall_bench.machine import Machine
from softcall_bench.page import prose, replace_figures, table
from softcall_bench.report import (
    COLUMNS,
    OTHER_COLUMNS,
    TEXT_COLUMNS,
    capacity_table,
    other_rows,
    speed_rows,
    text_rows,
)

PAGE = ROOT / "docs/benchmarks.md"
CHARTS = ROOT / "docs/charts"


def publish(page: Path, book: Book, machine: Machine, when: str, commit: str, quick: bool) -> None:
    """Replace what stands between the page's two marks, and the charts."""
    page = page.resolve()
    folder = CHARTS if page == PAGE else CHARTS / page.stem
    charts = write_charts(book, folder)
    verdicts = [
        (bar.name, bar.figure_text, bar.wanted_text, bar.verdict, bar.note) for bar in bars(book, machine)
    ]
    command = f"make bench{'-quick' if quick else ''}{' CORES=...' if machine.other_cores else ''}"
    parts = [
        prose(f"Measured on {machine}; {when[:10]}, commit {commit[:12]}, `{command}`."),
        "## Bars",
        table(("bar", "figure", "wanted", "verdict", "note"), verdicts),
        "## Charts",
        *(f"![{title}]({(folder / file).relative_to(page.parent)})" for file, title in charts.items()),
        "## Capacity",
        capacity_table(book, machine),
        "## All figures",
        table(COLUMNS, speed_rows(book)),
        "## Text" if (texts := text_rows(book)) else "",
        table(TEXT_COLUMNS, texts) if texts else "",
        "## Everything else",
        table(OTHER_COLUMNS, other_rows(book)),
        "\n".join(prose(f"- {note}") for note in book.notes),
    ]
    replace_figures(page, "\n\n".join(filter(None, parts)))
