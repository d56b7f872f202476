"""What prompts reach on nine data sets, beside full fine-tuning, from the records of `examples/results.sh`.

    python -m softcall_bench.results

Prints a line for each bar, with the command that repeats it, and writes the figures into docs/results.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from softcall.comparison.config import Method
from softcall.comparison.report import NOTES
from softcall.comparison.sections import COLUMNS, Line, Section
from softcall_bench.bar import Bar, bar_line
from softcall_bench.effects import cross_validated, effects, few_rows, kv_cross_validated, tries
from softcall_bench.findings import findings
from softcall_bench.local_server import ROOT
from softcall_bench.page import prose, replace_figures, table
from softcall_bench.recorded import (
    RECORDS,
    Recorded,
    better_prompts,
    calibration_error,
    calibration_error_before,
    temperature,
)
from softcall_bench.results_chart import write_results_chart

PAGE = ROOT / "docs/results.md"
CHART = PAGE.parent / "charts/results.svg"
SCRIPT = "training-exporter/examples/results.sh"

# Experiments: folders of `RECORDS`, and parts of the script.
PROMPTS, KV, OTHERS, DEFAULT, SWEEP, COST = "prompts", "kv", "others", "default", "sweep", "cost"
WANTED = {
    "agnews": 0.895,
    "banking77": 0.925,
    "rte": 0.66,
    "spamassassin": 0.985,
    "sst2": 0.918,
    "subj": 0.955,
    "trec": 0.965,
}
TRIED = prose(
    "Accuracy on dev and test, means over seeds. Brackets give the difference from the kept settings in "
    "points. The first row of each data set and method has the kept settings, as far as others were tried. "
    "Dev chooses. [Details](#details) says why some settings that are better on dev were not kept, and "
    "[experiments.md](experiments.md#training) lists what left no record."
)
ALL = sorted({*WANTED, "cola", "sms_spam"})
CALIBRATED = ("banking77", "sst2")
SWEPT = 8


@dataclass(frozen=True)
class Repeatable:
    """A bar, and the part of the script that makes its records."""

    bar: Bar
    part: str


def bars() -> Iterator[Repeatable]:
    """All bars, measured or not."""
    prompts, others = Recorded.read(PROMPTS), Recorded.read(OTHERS)
    for data, wanted in WANTED.items():
        yield Repeatable(Bar(f"{data}: accuracy", prompts.accuracy(data), wanted), PROMPTS)
    line = prompts.lines.get(("cola", Method.PROMPT))
    above = None if line is None else 100 * (line.accuracy - _majority(line))
    yield Repeatable(Bar("cola: accuracy above its majority class", above, 3, " points"), PROMPTS)
    gaps = [
        full - prompt
        for data in ALL
        if (full := others.accuracy(data, Method.FULL)) is not None
        and (prompt := prompts.accuracy(data)) is not None
    ]
    complete = len(gaps) == len(ALL)
    yield Repeatable(
        Bar(
            "full fine-tuning beyond prompts, mean of the nine",
            100 * float(np.mean(gaps)) if complete else None,
            0.8,
            " points",
            at_most=True,
            note="" if complete else f"{len(gaps)} of {len(ALL)} have both",
        ),
        OTHERS,
    )
    yield from _better()
    yield from _sweep()
    for data in CALIBRATED:
        line = prompts.lines.get((data, Method.PROMPT))
        error = None if line is None else calibration_error(line)
        yield Repeatable(
            Bar(f"{data}: expected calibration error on test", error, 0.03, at_most=True), PROMPTS
        )


def _better() -> Iterator[Repeatable]:
    """Bars of the type of prompt that dev picks for each data set."""
    others, better = Recorded.read(OTHERS), better_prompts()
    accuracies = {data: line.accuracy for data, line in better.items()}
    full, lora = ({data: others.accuracy(data, m) for data in ALL} for m in (Method.FULL, Method.LORA))
    complete = set(accuracies) >= set(ALL) and None not in (*full.values(), *lora.values())
    note = "" if complete else f"{len(accuracies)} of {len(ALL)} have both types"
    gaps = [100 * (full[data] - accuracies[data]) for data in ALL] if complete else []
    above = sum(accuracies[data] > lora[data] for data in ALL) if complete else None
    picked = f"KV prompts for {sum(line.method == Method.KV for line in better.values())} of them"
    yield Repeatable(
        Bar(
            "full fine-tuning beyond the better of soft and KV on dev, mean of the nine",
            float(np.mean(gaps)) if complete else None,
            0.5,
            " points",
            at_most=True,
            note=note or picked,
        ),
        KV,
    )
    yield Repeatable(
        Bar("the better of soft and KV on dev: data sets above LoRA", above, 4, " of 9", note=note), KV
    )
    yield Repeatable(
        Bar("rte: accuracy of the better of soft and KV on dev", accuracies.get("rte"), 0.66), KV
    )


def _majority(line: Line) -> float:
    """The share of the test rows that have the most frequent label."""
    rows = np.array(line.records[0].confusion).sum(1)
    return float(rows.max() / rows.sum())


def _sweep() -> Iterator[Repeatable]:
    single, swept = (Recorded.read(f"{COST}-{count}") for count in (1, SWEPT))
    ratios = [
        float(np.median([r.seconds for r in swept.lines[key].records]))
        / float(np.median([r.seconds for r in line.records]))
        for key, line in single.lines.items()
        if key in swept.lines
    ]
    yield Repeatable(
        Bar(
            f"a sweep of {SWEPT}: times the seconds of one run",
            max(ratios, default=None),
            2.5,
            "x",
            at_most=True,
        ),
        COST,
    )
    default, best = Recorded.read(DEFAULT), Recorded.read(SWEEP)
    defaults = {(data, r.seed): r.dev_accuracy for data, line in default.prompts() for r in line.records}
    better = [
        record.dev_accuracy > defaults[data, record.seed]
        for data, line in best.prompts()
        for record in line.records
        if (data, record.seed) in defaults
    ]
    yield Repeatable(
        Bar(
            "a sweep beats the default run of its seed on dev: share of the tasks",
            float(np.mean(better)) if better else None,
            0.51,
            note=f"{sum(better)} of {len(better)}" if better else "",
        ),
        SWEEP,
    )


def page() -> str:
    """The figures in Markdown."""
    told = list(bars())
    text = ["## Findings", "\n".join(map(prose, findings()))]
    text += [f"![accuracy of each method on each data set](charts/{CHART.name})"]
    if tried := tries(kept()):
        text += ["## Tried", TRIED, tried]
    text += ["## Bars", _bar_table(told)]
    for experiment, title in (
        (PROMPTS, "Prompts"),
        (KV, "KV prompts"),
        (OTHERS, "Other methods"),
        (DEFAULT, "Prompts by default"),
        (SWEEP, "Prompts by a sweep"),
    ):
        if parts := Recorded.read(experiment).parts:
            text += [f"## {title}", _budgets(parts), _accuracy_table(parts)]
    if calibrated := dict(Recorded.read(PROMPTS).prompts()):
        text += ["## Calibration of the prompts", _calibration_table(calibrated)]
    if few := few_rows():
        text += ["## Few rows", few]
    text += ["## Effect of single settings"] if (seen := list(effects())) else []
    for title, effect in seen:
        text += [f"### {title}", effect]
    if folds := cross_validated():
        text += ["## Templates, by cross-validation", folds]
    if folds := kv_cross_validated():
        text += ["## KV prompts on few rows, by cross-validation", folds]
    text += ["## How to read the tables", "\n".join(prose(f"- {note}") for note in NOTES)]
    return "\n\n".join(text)


def kept() -> dict[tuple[str, Method], Line]:
    """Each method on each data set, as the page has it."""
    return {line: each for part in (OTHERS, PROMPTS, KV) for line, each in Recorded.read(part).lines.items()}


def _bar_table(told: Sequence[Repeatable]) -> str:
    rows = [
        (each.bar.name, each.bar.figure_text, each.bar.wanted_text, each.bar.verdict, f"`{each.part}`")
        for each in told
    ]
    return table(("bar", "figure", "wanted", "verdict", "part of results.sh"), rows)


def _budgets(parts: Sequence[Section]) -> str:
    return "\n".join(prose(f"- {part.name}: {part.summary}") for part in parts)


def _accuracy_table(parts: Sequence[Section]) -> str:
    return table(("data", *COLUMNS), [(part.name, *line.cells) for part in parts for line in part.lines])


def _calibration_table(lines: Mapping[str, Line]) -> str:
    rows = [
        (
            data,
            _fitted_on(line),
            f"{temperature(line):.2f}",
            f"{calibration_error_before(line):.4f}",
            f"{calibration_error(line):.4f}",
        )
        for data, line in lines.items()
    ]
    columns = ("data", "temperature fitted on", "temperature", "ECE on test at temperature 1", "at this one")
    return table(columns, rows)


def _fitted_on(line: Line) -> str:
    folds = line.records[0].settings.get("calibration_folds")
    return f"dev, and {folds} folds of train" if folds else "dev"


def main() -> None:
    """Print the bars, and write the page and its chart."""
    console = Console(width=None)
    for each in bars():
        console.print(bar_line(each.bar), highlight=False, soft_wrap=True)
        console.print(
            f"    {SCRIPT} {each.part} DATA {RECORDS.relative_to(ROOT)}", style="dim", soft_wrap=True
        )
    write_results_chart(CHART, kept(), ALL)
    replace_figures(PAGE, page())


if __name__ == "__main__":
    main()
