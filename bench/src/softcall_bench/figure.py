"""Charts as SVG files. Equal figures give equal files."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes

STYLE = {
    "svg.hashsalt": "softcall",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.3,
}


def write_figure(file: Path, title: str, draw: Callable[[Axes], bool], height: float = 3.8) -> bool:
    """Write what `draw` draws, `height` inches high; false, and no file, where it says it has nothing."""
    matplotlib.use("svg")
    file.parent.mkdir(parents=True, exist_ok=True)
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(7, height), layout="constrained")
        drawn = draw(axes)
        if drawn:
            axes.set_title(title, loc="left", fontsize=11)
            figure.savefig(file, metadata={"Date": None})
        pyplot.close(figure)
    return drawn
