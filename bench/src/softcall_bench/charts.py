"""The charts of docs/benchmarks.md."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes

from softcall_bench.bench import FULL_PRECISION, INT8
from softcall_bench.book import Book, Key
from softcall_bench.figure import write_figure
from softcall_bench.report import limit_texts_per_s
from softcall_bench.scenarios import cold_start, lengths, revalidation, tasks_in_turn

SIDES = ("peft", "torch trunk", "llama.cpp", "onnxruntime", "softcall")
COLOURS = dict(zip(SIDES, ("#b0b0b0", "#8c8c8c", "#c9a227", "#5b8db8", "#1f6f4a"), strict=True))
STAGES = ("jvm_and_quarkus_ms", "trunk_ms", "fetch_ms", "prefix_ms", "infer_ms", "rest_of_call_ms")
LINES = {FULL_PRECISION: "--", INT8: "-", "": ":"}

Draw = Callable[[Book, Axes], bool]
"""Draws a chart; false where the book has nothing for it."""


def write_charts(book: Book, folder: Path) -> dict[str, str]:
    """Write every chart for which there are figures; returns file name to title."""
    written = {}
    for name, (title, draw) in CHARTS.items():
        if write_figure(folder / f"{name}.svg", title, partial(draw, book)):
            written[f"{name}.svg"] = title
    return written


def _one_text(book: Book, axes: Axes) -> bool:
    keys = [key for key in book.measured("speed") if key.clients == 1]
    names = [" ".join(filter(None, (key.side, key.variant, key.detail))) for key in keys]
    values = [book.median(key, "p50_ms") for key in keys]
    bars = axes.barh(names[::-1], values[::-1], color=[COLOURS[key.side] for key in keys[::-1]])
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.set_xlabel("ms, p50")
    axes.grid(axis="y", visible=False)
    return bool(keys)


def _throughput(book: Book, axes: Axes) -> bool:
    drawn = False
    for side in SIDES:
        for variant in LINES:
            keys = [k for k in book.measured("speed") if (k.side, k.variant, k.detail) == (side, variant, "")]
            keys.sort(key=lambda key: key.clients)
            if len(keys) > 1:
                drawn = True
                _line(axes, book, keys, [key.clients for key in keys], "texts_per_s", side, variant)
    for variant in (FULL_PRECISION, INT8):
        limit = limit_texts_per_s(book, Key("speed", "softcall", variant))
        if limit is not None:
            axes.axhline(limit, color="#aa3333", linestyle=LINES[variant], linewidth=1)
            axes.annotate(f"{variant} matrix products", (1, limit), color="#aa3333", va="bottom", fontsize=8)
    _logarithmic(axes, (1, 2, 4, 8, 16, 32, 64))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("clients of the server, or rows of a batch")
    axes.set_ylabel("texts/s")
    axes.legend(fontsize=8)
    return drawn


def _lengths(book: Book, axes: Axes) -> bool:
    drawn = False
    for side in ("onnxruntime", "softcall"):
        for variant in (FULL_PRECISION, INT8):
            keys = [k for k in book.measured(lengths.SCENARIO) if (k.side, k.variant) == (side, variant)]
            if keys:
                drawn = True
                _line(axes, book, keys, [int(key.detail) for key in keys], "p50_ms", side, variant)
    _logarithmic(axes, tuple(lengths.LENGTH_S))
    axes.set_yscale("log")
    axes.set_xlabel("tokens of the text")
    axes.set_ylabel("ms, p50")
    if drawn:
        axes.legend(fontsize=8)
    return drawn


def _revalidation(book: Book, axes: Axes) -> bool:
    measured = book.measured(revalidation.SCENARIO)
    keys = [key for key in measured if key.detail != revalidation.ASKED_BY_ANOTHER]
    details = list(dict.fromkeys(key.detail for key in keys))
    for number, clients in enumerate(revalidation.CLIENT_S):
        values = [book.median(key, "p50_ms") for key in keys if key.clients == clients]
        if len(values) == len(details) and values:
            places = [place + 0.4 * number for place in range(len(details))]
            label = f"{clients} client{'s' if clients > 1 else ''}"
            axes.bar_label(axes.bar(places, values, 0.38, label=label), fmt="%.0f", fontsize=8)
    axes.set_xticks([place + 0.2 for place in range(len(details))], details)
    axes.set_ylabel("ms, p50")
    if keys:
        axes.legend(fontsize=8)
    return bool(keys)


def _tasks(book: Book, axes: Axes) -> bool:
    drawn = False
    for cache, name in ((tasks_in_turn.FITS, tasks_in_turn.fits), (tasks_in_turn.HALF, tasks_in_turn.half)):
        found = {
            count: book.median(key, "texts_per_s")
            for count in tasks_in_turn.COUNTS
            for key in book.measured(tasks_in_turn.SCENARIO)
            if key.detail == name(count)
        }
        if found:
            drawn = True
            axes.plot(list(found), list(found.values()), marker="o", label=cache)
    _logarithmic(axes, tasks_in_turn.COUNTS)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("tasks in turn")
    axes.set_ylabel("texts/s")
    if drawn:
        axes.legend(fontsize=8)
    return drawn


def _cold_start(book: Book, axes: Axes) -> bool:
    keys = book.measured(cold_start.SCENARIO)
    names = [f"{key.variant}, {key.detail}" for key in keys]
    left = [0.0] * len(keys)
    for stage in STAGES:
        values = [book.median(key, stage) or 0.0 for key in keys]
        axes.barh(names, values, left=left, label=stage.removesuffix("_ms").replace("_", " "))
        left = [before + value for before, value in zip(left, values, strict=True)]
    axes.set_xlabel("ms")
    axes.grid(axis="y", visible=False)
    if keys:
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    return bool(keys)


def _line(
    axes: Axes, book: Book, keys: Sequence[Key], x: Sequence[int], figure: str, side: str, variant: str
) -> None:
    values = [book.median(key, figure) for key in keys]
    label = f"{side} {variant}".strip()
    axes.plot(x, values, LINES[variant], color=COLOURS[side], marker="o", markersize=4, label=label)


def _logarithmic(axes: Axes, ticks: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()


CHARTS: dict[str, tuple[str, Draw]] = {
    "one-text": ("One text of 26 tokens behind a prompt of 20", _one_text),
    "throughput": ("Texts a second, 26 tokens behind a prompt of 20", _throughput),
    "lengths": ("One text at a time, by its length", _lengths),
    "store": ("Revalidation on every call", _revalidation),
    "tasks": ("Tasks in turn, 16 clients", _tasks),
    "cold-start": ("From the start of the process to the first answer", _cold_start),
}
