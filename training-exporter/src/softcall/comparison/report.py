"""A comparison as one page: Markdown, and HTML that needs no other file."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import matplotlib
import numpy as np
from matplotlib import pyplot
from scipy import stats

from softcall.comparison.compare import RunRecord
from softcall.comparison.config import Method
from softcall.core.new_file import write_file
from softcall.core.printable import printable
from softcall.evaluation.scores import wilson_interval

MARKDOWN, HTML = "report.md", "report.html"
TEMPLATE = Path(__file__).with_name("report.html.jinja")
MOST_LABELS = 12  # up to so many, the whole confusion matrix is shown
TOP_CONFUSIONS = 10
STYLE = {
    "svg.hashsalt": "softcall",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


@dataclass(frozen=True)
class Line:
    """One method on one data set, over its seeds."""

    method: str
    records: tuple[RunRecord, ...]

    @property
    def accuracy(self) -> float:
        """Mean over seeds, which all have the same test rows: from the counts, so it is rounded once."""
        return sum(record.right for record in self.records) / sum(record.total for record in self.records)

    @property
    def interval(self) -> tuple[float, float]:
        """95 %: Student's over seeds, whose width is that of training; of one run Wilson's over test rows."""
        if len(self.records) == 1:
            return wilson_interval(self.records[0].right, self.records[0].total)
        accuracies = [record.accuracy for record in self.records]
        error = stats.sem(accuracies)
        if error == 0:
            return accuracies[0], accuracies[0]
        low, high = stats.t.interval(0.95, len(accuracies) - 1, loc=self.accuracy, scale=error)
        return max(0.0, float(low)), min(1.0, float(high))

    @property
    def cells(self) -> list[str]:
        """The line of the table."""
        low, high = self.interval
        first = self.records[0]
        seconds = np.mean([record.seconds for record in self.records])
        return [
            self.method,
            f"{self.accuracy:.4f}",
            f"{low:.4f} to {high:.4f}",
            str(len(self.records)),
            f"{np.mean([record.macro_f1 for record in self.records]):.4f}",
            f"{np.mean([correlation(np.array(record.confusion)) for record in self.records]):.3f}",
            f"{np.mean([record.calibration_error for record in self.records]):.3f}",
            f"{first.trained_parameters:,}",
            f"{first.learnt_bytes:,}",
            f"{seconds:.1f}",
            f"{max(record.peak_bytes for record in self.records) / 1e6:,.0f}",
            f"{1e3 * np.median([record.switch_seconds for record in self.records]):,.1f}",
        ]


COLUMNS = (
    "method",
    "accuracy",
    "95 % interval",
    "runs",
    "macro-F1",
    "MCC",
    "ECE",
    "trained parameters",
    "bytes to keep",
    "seconds",
    "peak MB",
    "ms to switch",
)


@dataclass(frozen=True)
class Section:
    """One data set."""

    name: str
    lines: tuple[Line, ...]

    @property
    def summary(self) -> str:
        """The rows, and the budget of the methods that train on the base."""
        record = self.lines[0].records[0]
        rows = ", ".join(f"{record.rows[part]:,} {part}" for part in ("train", "dev", "test"))
        steps, batch = record.settings["steps"], record.settings["batch_size"]
        shared = f", shared by {record.jobs} runs at a time" if record.jobs > 1 else ""
        budget = f"{steps:,} steps of {batch} rows"
        return f"{rows} rows, {len(record.labels)} labels; {budget}; {record.device}{shared}"

    def confusion(self, line: Line) -> np.ndarray:
        """Counts [gold, predicted] over the runs of a method."""
        return np.sum([record.confusion for record in line.records], axis=0)

    @property
    def labels(self) -> list[str]:
        """The labels, in the order of the confusion matrix."""
        return self.lines[0].records[0].labels

    @property
    def is_small(self) -> bool:
        """Whether the whole confusion matrix fits on a page."""
        return len(self.labels) <= MOST_LABELS

    def mistakes(self, line: Line) -> list[tuple[str, str, int]]:
        """(gold, predicted, count) of the most frequent mistakes."""
        counts = self.confusion(line)
        cells = [(int(counts[i, j]), i, j) for i, j in zip(*np.nonzero(counts), strict=True) if i != j]
        cells.sort(key=lambda cell: (-cell[0], cell[1:]))
        return [
            (printable(self.labels[i]), printable(self.labels[j]), count)
            for count, i, j in cells[:TOP_CONFUSIONS]
        ]


def correlation(confusion: np.ndarray) -> float:
    """Matthews' correlation coefficient of counts [gold, predicted] (Gorodkin 2004: any number of labels).

    0 where every row has one label, or every answer is the same.
    """
    gold, predicted, rows = confusion.sum(1), confusion.sum(0), confusion.sum()
    covariance = np.trace(confusion) * rows - gold @ predicted
    spread = np.sqrt(float(rows**2 - gold @ gold)) * np.sqrt(float(rows**2 - predicted @ predicted))
    return 0.0 if spread == 0 else float(covariance / spread)


def sections(records: Sequence[RunRecord]) -> list[Section]:
    """Records by data set and method, in the order in which they were given."""
    by_data: dict[str, dict[str, list[RunRecord]]] = {}
    for record in records:
        by_data.setdefault(record.data, {}).setdefault(record.method, []).append(record)
    order = list(Method)
    return [
        Section(name, tuple(Line(m, tuple(runs[m])) for m in sorted(runs, key=order.index)))
        for name, runs in by_data.items()
    ]


def write_report(records: Sequence[RunRecord], folder: Path) -> None:
    """Write `report.md` and `report.html` into `folder`."""
    parts = sections(records)
    write_file(folder / MARKDOWN, markdown(parts).encode())
    write_file(folder / HTML, html(parts).encode())


NOTES = (
    "Every method but tfidf reads label rows behind the same base, sees the same rows in the same steps, and "
    "keeps what was best on dev; tfidf chooses its regularisation on dev.",
    "The interval is Student's over seeds where a method ran with several, else Wilson's over the test rows.",
    "Seconds are of training with its scorings of dev, and with the folds of calibration. Peak MB is the "
    "GPU's memory, or on a CPU the largest that the process has had so far.",
    "MCC is Matthews' correlation coefficient (1: all right, 0: no better than chance). ECE is the expected "
    "calibration error of the probabilities, with the temperature that fits dev, or dev and the folds.",
    "Milliseconds to switch are what it takes to put another task's stored tensors in place of this one's.",
    "Bytes to keep are those of what was learnt, in float32; tasks share the base of prompts and LoRA.",
)


def markdown(parts: Sequence[Section]) -> str:
    """The page without pictures."""
    text = ["# Comparison", "", *(f"- {note}" for note in NOTES)]
    for part in parts:
        text += [
            "",
            f"## {printable(part.name)}",
            "",
            part.summary,
            "",
            _row(COLUMNS),
            _row(["---"] * len(COLUMNS)),
        ]
        text += [_row(line.cells) for line in part.lines]
        for line in part.lines:
            mistakes = "; ".join(f"{gold} as {wrong} {n}" for gold, wrong, n in part.mistakes(line)[:5])
            text += ["", f"{line.method}, most frequent mistakes: {mistakes or 'none'}"]
    return "\n".join(text) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def html(parts: Sequence[Section]) -> str:
    """The page with pictures, all inside."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pictures = {part.name: [jinja2.utils.markupsafe.Markup(svg) for svg in charts(part)] for part in parts}
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(
        parts=parts, notes=NOTES, columns=COLUMNS, pictures=pictures
    )


def charts(part: Section) -> list[str]:
    """Accuracy with its intervals, and the curves of the methods that train in steps, as SVG."""
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
    """Per step, the mean over seeds: dev accuracy, training loss and the gradient's norm."""
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
