"""The charts of a data set's section, as SVG."""

import io
import re
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib import pyplot

from softcall.comparison.sections import Line, Section

STYLE = {
    "svg.hashsalt": "softcall",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def charts(part: Section) -> list[str]:
    """Return SVG charts: accuracies with intervals, and the curves of the methods that train in steps."""
    matplotlib.use("svg")
    with pyplot.rc_context(STYLE):
        drawn = [_accuracies(part)]
        trained = [line for line in part.lines if line.records[0].evaluations]
        if trained:
            drawn.append(_curves(trained))
        return drawn


def _accuracies(part: Section) -> str:
    figure, axes = pyplot.subplots(figsize=(7, 0.6 + 0.35 * len(part.lines)), layout="constrained")
    for i, line in enumerate(part.lines):
        low, high = line.interval
        axes.plot([low, high], [i, i], color="tab:blue")
        axes.plot(line.accuracy, i, "o", color="tab:blue")
        axes.plot([r.accuracy for r in line.records], [i] * len(line.records), "|", color="black")
    axes.set_yticks(range(len(part.lines)), [line.method for line in part.lines])
    axes.invert_yaxis()
    axes.set_xlabel("accuracy on test: mean, 95 % interval, each run")
    return _svg(figure)


def _curves(lines: Sequence[Line]) -> str:
    """Draw the mean over seeds of dev accuracy, training loss and gradient norm, per step."""
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3), layout="constrained")
    for i, line in enumerate(lines):
        evaluations = np.mean([record.evaluations for record in line.records], axis=0)
        axes[0].plot(evaluations[:, 0], evaluations[:, 1], color=f"C{i}", label=line.method)
        if line.records[0].curve:
            curve = np.mean([record.curve for record in line.records], axis=0)
            axes[1].plot(curve[:, 0], curve[:, 1], color=f"C{i}", linewidth=0.8)
            axes[2].semilogy(curve[:, 0], curve[:, 2], color=f"C{i}", linewidth=0.8)
    for one, title in zip(
        axes, ("accuracy on dev", "training loss", "gradient norm, unclipped"), strict=True
    ):
        one.set_title(title)
        one.set_xlabel("step")
    axes[0].legend()
    return _svg(figure)


def _svg(figure: pyplot.Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return re.sub(r"^.*?(?=<svg)", "", text.getvalue(), flags=re.DOTALL)  # no XML prologue inside HTML
