"""A comparison as one page: Markdown, and HTML that needs no other file."""

from collections.abc import Sequence
from pathlib import Path

import jinja2

from softcall.comparison.charts import charts
from softcall.comparison.record import RunRecord
from softcall.comparison.sections import COLUMNS, Section, sections
from softcall.core.new_file import write_file
from softcall.core.printable import printable

MARKDOWN, HTML = "report.md", "report.html"
TEMPLATE = Path(__file__).with_name("report.html.jinja")

NOTES = (
    "Every method but tfidf reads label rows behind the same base, sees the same rows in the same steps, and "
    "keeps what was best on dev; tfidf chooses its regularisation on dev.",
    "The interval is Student's over seeds where a method ran with several, else Wilson's over the test rows.",
    "Seconds are of training with its scorings of dev, and with the folds of calibration. Peak MB is the "
    "GPU's memory, or on a CPU the largest that the process has had so far.",
    "MCC is Matthews' correlation coefficient (1: all right, 0: no better than chance). ECE is the expected "
    "calibration error of the probabilities, with the temperature that fits dev, or dev and the folds.",
    "Milliseconds to switch are what it takes to put another task's stored tensors in place of this one's.",
    "Bytes to keep are those of what was learnt, in float32 (KV prompts: float16); tasks share the base of "
    "prompts and LoRA.",
    "zero-shot and few-shot learn nothing: an instruction (for few-shot also examples of train) stands in "
    "front of each text, as `softcall push --context` makes it.",
    "A prompt is a soft prompt, vectors below the first layer; kv is a KV prompt, keys and values of every "
    "layer.",
)


def write_report(records: Sequence[RunRecord], folder: Path) -> None:
    """Write `report.md` and `report.html` into `folder`."""
    parts = sections(records)
    write_file(folder / MARKDOWN, markdown(parts).encode())
    write_file(folder / HTML, html(parts).encode())


def markdown(parts: Sequence[Section]) -> str:
    """Return the page without charts."""
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
    """Return the page with charts."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pictures = {part.name: [jinja2.utils.markupsafe.Markup(svg) for svg in charts(part)] for part in parts}
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(
        parts=parts, notes=NOTES, columns=COLUMNS, pictures=pictures
    )
