"""The chart of docs/results.md: what prompts and their rivals reach on each data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from softcall.comparison.config import Method
from softcall.comparison.sections import Line
from softcall_bench.figure import write_figure

MARKS = {
    Method.TFIDF: ("x", "#8c8c8c"),
    Method.LORA: ("D", "#c9a227"),
    Method.FULL: ("s", "#5b8db8"),
    Method.KV: ("^", "#b3452c"),
    Method.PROMPT: ("o", "#1f6f4a"),
}
"""Marker and colour, in the order in which they are drawn: prompts on top. Zero-shot is off the scale."""

INCHES_A_DATA_SET = 0.4


def write_results_chart(file: Path, lines: Mapping[tuple[str, Method], Line], data: Sequence[str]) -> None:
    """Draw the accuracy on test with its 95 % interval, a row for each of `data`, from the top down."""
    places = {name: len(data) - number for number, name in enumerate(data)}

    def draw(axes: Axes) -> bool:
        shown = [method for method in MARKS if any(m == method for _, m in lines)]
        for offset, method in enumerate(shown):
            marker, colour = MARKS[method]
            found = [
                (places[name], line) for (name, m), line in lines.items() if m == method and name in places
            ]
            means = [line.accuracy for _, line in found]
            ends = [line.interval for _, line in found]
            axes.errorbar(
                means,
                [place + 0.17 * (offset - (len(shown) - 1) / 2) for place, _ in found],
                xerr=[
                    [mean - low for mean, (low, _) in zip(means, ends, strict=True)],
                    [high - mean for mean, (_, high) in zip(means, ends, strict=True)],
                ],
                fmt=marker,
                color=colour,
                markersize=5,
                elinewidth=1,
                label=method.value,
            )
        axes.set_yticks(list(places.values()), list(places))
        axes.set_xlabel("accuracy on test, 95 % interval")
        axes.legend(loc="lower left", fontsize=8)
        return bool(lines)

    write_figure(file, "Prompts beside other ways", draw, 1 + INCHES_A_DATA_SET * len(data))
