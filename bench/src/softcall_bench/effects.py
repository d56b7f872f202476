"""Tables of what a prompt's length, rate, start, rows and words change, and of what was not kept."""

from collections.abc import Iterator, Mapping
from typing import Any

from softcall.comparison.config import Method
from softcall.comparison.sections import Line
from softcall_bench.page import table
from softcall_bench.recorded import Recorded, calibration_error, dev_accuracy, experiments

EFFECTS = {
    "length": "Length in tokens",
    "rate": "Learning rate",
    "start": "Start",
}
"""Kinds of experiments, and what the first column of their table is."""

TRIES = "try"
FEW = "few"
FOLDS = "folds"


def effects() -> Iterator[tuple[str, str]]:
    """A title and a table of each effect that was looked at."""
    for kind, column in EFFECTS.items():
        found = {
            name.removeprefix(f"{kind}-"): dict(Recorded.read(name).prompts()) for name in experiments(kind)
        }
        data = sorted({name for lines in found.values() for name in lines})
        if data:
            rows = [[value, *(_cell(lines.get(name)) for name in data)] for value, lines in found.items()]
            yield column, table((column, *data), rows)


def few_rows() -> str:
    """All methods where there are few rows; empty where nothing was recorded."""
    parts = [(*part.name.rsplit("-", 1), part.lines) for part in Recorded.read(FEW).parts]
    rows = [
        (data, count, line.method, _cell(line))
        for data, count, lines in sorted(parts, key=lambda part: (part[0], int(part[1])))
        for line in lines
    ]
    return table(("data", "rows a class", "method", "accuracy"), rows) if rows else ""


def cross_validated() -> str:
    """Words by their accuracy on folds that neither taught nor chose; empty where nothing was recorded."""
    found: dict[str, dict[str, dict[str, Line]]] = {}  # data, words, fold
    for name in (FOLDS, *experiments(FOLDS)):
        for folder, line in Recorded.read(name).prompts():
            data, fold = folder.rsplit("-", 1)
            words = _told("template", line.records[0].settings)
            found.setdefault(data, {}).setdefault(words, {})[fold] = line
    numbers = sorted({fold for words in found.values() for folds in words.values() for fold in folds})
    rows = []
    for data, words in sorted(found.items()):
        common = set.intersection(*(set(folds) for folds in words.values()))
        for told, folds in sorted(words.items()):
            records = [record for fold in common for record in folds[fold].records]
            share = sum(each.right for each in records) / sum(each.total for each in records)
            cells = (f"{folds[fold].accuracy:.4f}" if fold in folds else "-" for fold in numbers)
            rows.append((data, told, f"{share:.4f}", *cells))
    columns = ("data", "words", "folds that all words have", *(f"fold {fold}" for fold in numbers))
    return table(columns, rows) if rows else ""


def tries(kept: Mapping[tuple[str, Method], Line]) -> str:
    """What was tried, beside what was kept; empty where nothing was recorded."""
    rows = [
        (*key, _difference(line, kept[key]), *_figures(line), *_figures(kept[key]))
        for name in experiments(TRIES)
        for key, line in Recorded.read(name).lines.items()
    ]
    columns = ("data", "method", "instead", "dev", "test", "ECE", "kept: dev", "test", "ECE")
    return table(columns, sorted(rows)) if rows else ""


def _cell(line: Line | None) -> str:
    if line is None:
        return "-"
    low, high = line.interval
    return f"{line.accuracy:.4f} ({low:.4f} to {high:.4f})"


def _figures(line: Line) -> tuple[str, str, str]:
    return f"{dev_accuracy(line):.4f}", f"{line.accuracy:.4f}", f"{calibration_error(line):.3f}"


def _difference(line: Line, kept: Line) -> str:
    """The settings of a run that what was kept does not share."""
    settings, others = (each.records[0].settings for each in (line, kept))
    names = dict.fromkeys([*settings, *others])
    told = [_told(name, settings) for name in names if settings.get(name) != others.get(name)]
    return ", ".join(filter(None, told))


def _told(name: str, settings: Mapping[str, Any]) -> str:
    match name:
        case "warmup" | "eval_every":  # follow from the steps
            return ""
        case "candidates":
            return f"{len(settings[name])} candidates" if name in settings else "one candidate"
        case "calibration_folds":
            return f"{settings[name]} folds" if name in settings else "calibrated on dev"
        case "template":
            return f"`{settings[name]}`".replace("\n", "⏎")
        case "verbalizers":
            return " or ".join(f"`{word.strip()}`" for word in settings[name])
        case _:
            return f"{name.replace('_', ' ')} {settings[name]:,}"
