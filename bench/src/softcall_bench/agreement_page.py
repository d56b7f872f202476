"""Writes the points of agreement.json into docs/int8.md, as a table and a chart."""

import json
from functools import partial

from matplotlib.axes import Axes

from softcall_bench.agreement import RESULTS, ROOT
from softcall_bench.figure import write_figure
from softcall_bench.machine import Machine
from softcall_bench.page import prose, replace_figures, table

PAGE = ROOT / "docs/int8.md"
CHART = ROOT / "docs/charts/int8-points.svg"


def main() -> None:
    """Replace what stands between the page's two marks, and the chart."""
    record = json.loads(RESULTS.read_text())
    points = [point for point in record["points"] if "ms" in point]
    tasks = list(points[0]["tasks"])
    fp32 = record["fp32_ms"]
    columns = ["", *tasks, "mean", *(f"{rows} x {tokens}" for rows, tokens in record["shapes"])]
    rows = []
    for point in points:
        figures = [point["tasks"][task] for task in tasks]
        cells = [f"{f['agreement']:.3f} ({100 * (f['accuracy'] - f['fp32_accuracy']):+.1f})" for f in figures]
        speed = [f"{full / ms:.2f}x" for full, ms in zip(fp32, point["ms"], strict=True)]
        rows.append([point["name"], *cells, f"{_mean(point):.3f}", *speed])
    served = next(point for point in points if point["served"])
    sample = next((point for point in points if not point["served"]), served)
    counts = ", ".join(f"{task} {served['tasks'][task]['n']:,}" for task in tasks)
    text = prose(
        "The table gives the agreement, in brackets the points of accuracy won or lost, and then the speed "
        "as a multiple of fp32, for sequences x tokens in bare ONNX Runtime. "
        f"Measured on {Machine.of(record['machine'])}. `int8` is served, and was measured on whole test sets "
        f"({counts}); the others on {max(f['n'] for f in sample['tasks'].values())} rows of each."
    )
    replace_figures(PAGE, f"{text}\n\n{table(columns, rows)}\n\n![speed and agreement](charts/{CHART.name})")
    write_figure(CHART, "Speed and agreement of int8", partial(_draw, points=points, fp32=fp32))


def _mean(point: dict) -> float:
    return sum(figures["agreement"] for figures in point["tasks"].values()) / len(point["tasks"])


def _draw(axes: Axes, points: list[dict], fp32: list[float]) -> bool:
    for point in points:
        speed, agreement = fp32[-1] / point["ms"][-1], _mean(point)
        axes.scatter(speed, agreement, color="#1f6f4a" if point["served"] else "#8c8c8c")
        axes.annotate(
            point["name"], (speed, agreement), textcoords="offset points", xytext=(5, 4), fontsize=8
        )
    axes.set_xlabel("times as fast as fp32, 16 x 26 tokens")
    axes.set_ylabel("mean agreement with fp32")
    axes.margins(x=0.3)
    return bool(points)


if __name__ == "__main__":
    main()
