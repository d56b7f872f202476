"""The tables: what was measured, the bars, and the capacity of a machine in Markdown."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from softcall_bench.bar import WITHIN_NOISE, bar_line
from softcall_bench.bars import agreement_note, bars
from softcall_bench.bench import FULL_PRECISION, INT8
from softcall_bench.book import Book, Key
from softcall_bench.machine import Machine
from softcall_bench.scenarios import one_core, tasks_in_turn
from softcall_bench.scenarios.generation import mixed
from softcall_bench.workload import TEXT_TOKENS

LATENCIES = ("p50_ms", "p95_ms", "p99_ms")
RATES = ("texts_per_s", "tokens_per_s")
INT8_SIDES = ("llama.cpp",)  # whose products are int8 though its variant is none of ours
COLUMNS = (
    "scenario",
    "side",
    "variant",
    "clients or rows",
    "",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "texts/s",
    "tokens/s",
    "of the best product measured",
)
TIME_UNITS = {"_ms": 1e-3, "_s": 1.0}
RATE = "per_s"
NOISE_S = 1e-4  # a shorter time is that of the clock and of the threads that take turns
TEXT_COLUMNS = (
    "scenario",
    "side",
    "variant",
    "streams or rows",
    "",
    "tokens/s",
    "ms between tokens, p50",
    "p99",
    "ms to the first token",
)
TEXT_FIGURES = ("tokens_per_s", "gap_p50_ms", "gap_p99_ms", "first_token_ms")
OTHER_COLUMNS = ("scenario", "side", "variant", "", "figures")
ON_ONE_CORE = (one_core.SCENARIO, mixed.SCENARIO)


def report(book: Book, machine: Machine, console: Console) -> None:
    """Print everything; the bars come last."""
    console.rule("figures", align="left")
    console.print(str(machine), highlight=False)
    console.print(_key_table("Latency and throughput", COLUMNS, speed_rows(book)))
    console.print(_key_table("Text", TEXT_COLUMNS, text_rows(book)))
    console.print(_other_table(book))
    console.rule("capacity", align="left")
    console.print(capacity_table(book, machine), markup=False, highlight=False)
    for note in [*book.notes, *filter(None, [agreement_note()])]:
        console.print(note, style="yellow", markup=False)
    console.rule("bars", align="left")
    for bar in bars(book, machine):
        console.print(bar_line(bar), highlight=False, soft_wrap=True)


def limit_texts_per_s(book: Book, key: Key, tokens: int = TEXT_TOKENS) -> float | None:
    """The texts a second at the rate of the best matrix product measured: each token meets each weight once.

    Products of other shapes, and the trunk's own, can be faster.
    """
    precision = INT8 if key.variant == INT8 or key.side in INT8_SIDES else FULL_PRECISION
    rate = book.median(Key("limit", "best", precision), "gop_per_s")
    cost = book.median(Key("limit", "trunk"), "gop_per_token")
    return None if rate is None or cost is None else rate / (cost * tokens)


def capacity_table(book: Book, machine: Machine) -> str:
    """The README's capacity table, in Markdown."""
    rows = ["| | " + " | ".join((FULL_PRECISION, INT8)) + " |", "|---|---|---|"]
    served = {variant: Key("speed", "softcall", variant, 16) for variant in (FULL_PRECISION, INT8)}
    figures = {
        "texts/s per core (26 tokens, 16 clients)": lambda variant: _divided(
            book.median(served[variant], "texts_per_s"), machine.cores
        ),
        "ms for one text (p50, 1 client)": lambda variant: book.median(
            Key("speed", "softcall", variant), "p50_ms"
        ),
        "MB of memory with ten tasks (steady PSS)": lambda variant: book.median(
            Key("memory", "softcall", variant, detail="ten tasks"), "pss_mb"
        ),
        "MB per 1,000 tasks (prompts of 8 to 32 tokens)": lambda variant: book.median(
            _first_call(variant), "mb_per_1000_tasks"
        ),
        "ms that a task's first call adds: its prefix": lambda variant: book.median(
            _first_call(variant), "prefix_ms"
        ),
    }
    for name, figure in figures.items():
        values = (figure(variant) for variant in (FULL_PRECISION, INT8))
        rows.append(f"| {name} | " + " | ".join(_cell(value) or "-" for value in values) + " |")
    return "\n".join(rows)


def _first_call(variant: str) -> Key:
    return Key(tasks_in_turn.SCENARIO, "softcall", variant, detail="first call")


def _divided(value: float | None, by: int) -> float | None:
    return None if value is None else value / by


def speed_rows(book: Book) -> list[tuple[str, ...]]:
    """A row for everything that has a latency, as in `COLUMNS`."""
    rows = []
    for key in book.measured():
        figures = book.medians(key)
        if "p50_ms" not in figures:
            continue
        tokens = round(figures["tokens_per_s"] / figures["texts_per_s"])
        # What was measured as the limit is that of all cores.
        limit = None if key.scenario in ON_ONE_CORE else limit_texts_per_s(book, key, tokens)
        share = "" if limit is None else f"{figures['texts_per_s'] / limit:.0%}"
        numbers = [_cell(figures.get(name)) for name in (*LATENCIES, *RATES)]
        rows.append((key.scenario, key.side, key.variant, str(key.clients), key.detail, *numbers, share))
    return rows


def text_rows(book: Book) -> list[tuple[str, ...]]:
    """A row for everything that wrote text, as in `TEXT_COLUMNS`."""
    rows = []
    for key in book.measured():
        figures = book.medians(key)
        if _is_text(figures):
            numbers = [_cell(figures.get(name)) for name in TEXT_FIGURES]
            rows.append((key.scenario, key.side, key.variant, str(key.clients), key.detail, *numbers))
    return rows


def _is_text(figures: Mapping[str, float | None]) -> bool:
    return "tokens_per_s" in figures and "texts_per_s" not in figures


def other_rows(book: Book) -> list[tuple[str, ...]]:
    """A row for everything else: scenario, side, variant, detail, figures by name."""
    rows = []
    for key in book.measured():
        figures = book.medians(key)
        if "p50_ms" not in figures and not _is_text(figures):
            told = ", ".join(f"{name} {_figure(name, value)}" for name, value in figures.items())
            rows.append((key.scenario, key.side, key.variant, key.detail, told))
    return rows


def _key_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table of numbers behind a key of five columns, the fourth of which is a number too."""
    table = Table(title=f"{title}, medians of rounds")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number > 4 or number == 3 else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _other_table(book: Book) -> Table:
    table = Table(*OTHER_COLUMNS, title="Everything else, medians of rounds")
    for row in other_rows(book):
        table.add_row(*row)
    return table


def _figure(name: str, value: float | None) -> str:
    """A figure whose name ends in its unit."""
    unit = next((unit for end, unit in TIME_UNITS.items() if name.endswith(end)), None)
    if value and unit and not name.endswith(RATE) and abs(value) * unit < NOISE_S:
        return WITHIN_NOISE
    return _cell(value)


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
