"""Tables of the effect of a prompt's length, rate, start, rows and template, and of what was tried."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from softcall.comparison.config import Method
from softcall.comparison.sections import Line
from softcall_bench.page import table
from softcall_bench.recorded import Recorded, calibration_error, dev_accuracy, experiments

EFFECTS = {
    "length": "Length in tokens",
    "rate": "Learning rate",
    "start": "Initialisation",
}
"""Kinds of experiments, and what the first column of their table is."""

TRIES = "try"
FEW = "few"
FOLDS = "folds"
KV_FOLDS = "kv-folds"


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
    """Templates by their accuracy on held-out folds; empty where nothing was recorded."""
    return _fold_table(by_template(), "template")


def kv_cross_validated() -> str:
    """Settings of KV prompts by their accuracy on held-out folds; empty where nothing was recorded."""
    tried = [each for name in experiments(KV_FOLDS) for each in Recorded.read(name).prompts(Method.KV)]
    usual = _usual([line.records[0].settings for _, line in tried])
    found: dict[str, dict[str, dict[str, Line]]] = {}
    for folder, line in tried:
        data, fold = folder.rsplit("-", 1)
        settings = line.records[0].settings
        varied = [name for name in usual if settings.get(name) != usual[name]]
        found.setdefault(data, {}).setdefault(_settings(varied, line) or "defaults", {})[fold] = line
    return _fold_table(found, "settings")


def _usual(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The value that each setting has most often, None where it is missing; without seeds, which all vary."""
    names = dict.fromkeys(name for each in settings for name in each if name != "seed")
    values = {name: [each.get(name) for each in settings] for name in names}
    return {name: max(each, key=each.count) for name, each in values.items()}


def _fold_table(folded: Mapping[str, Mapping[str, Mapping[str, Line]]], varied: str) -> str:
    """What is `varied`, by data set, with its accuracy on each fold; empty where nothing was recorded."""
    numbers = sorted({fold for each in folded.values() for folds in each.values() for fold in folds})
    rows = []
    for data, each in sorted(folded.items()):
        shares = common_accuracies(each)
        for value, folds in sorted(each.items()):
            cells = (f"{folds[fold].accuracy:.4f}" if fold in folds else "-" for fold in numbers)
            rows.append((data, value, f"{shares[value]:.4f}", *cells))
    columns = (
        "data",
        varied,
        f"folds that all {varied.rstrip('s')}s have",
        *(f"fold {fold}" for fold in numbers),
    )
    return table(columns, rows) if rows else ""


def by_template() -> dict[str, dict[str, dict[str, Line]]]:
    """The cross-validated prompts by data set, template and fold."""
    found: dict[str, dict[str, dict[str, Line]]] = {}
    for name in (FOLDS, *experiments(FOLDS)):
        for folder, line in Recorded.read(name).prompts():
            data, fold = folder.rsplit("-", 1)
            template = _told("template", line.records[0].settings)
            found.setdefault(data, {}).setdefault(template, {})[fold] = line
    return found


def common_accuracies(tried: Mapping[str, Mapping[str, Line]]) -> dict[str, float]:
    """The accuracy of each template or setting on the folds that all of them have."""
    common = set.intersection(*(set(folds) for folds in tried.values()))
    shares = {}
    for value, folds in tried.items():
        records = [record for fold in common for record in folds[fold].records]
        shares[value] = sum(each.right for each in records) / sum(each.total for each in records)
    return shares


def tries(kept: Mapping[tuple[str, Method], Line]) -> str:
    """What was tried, below the settings that were kept; empty where nothing was recorded."""
    tried: dict[tuple[str, Method], list[Line]] = {}
    for name in experiments(TRIES):
        for key, line in Recorded.read(name).lines.items():
            tried.setdefault(key, []).append(line)
    rows = []
    for key, lines in sorted(tried.items()):
        best = kept[key]
        varied = dict.fromkeys(name for line in lines for name in _different(line, best))
        rows.append((*key, _settings(varied, best), *_figures(best), "yes"))
        others = [
            (*key, _settings(_different(line, best), line), *_compared(line, best), "no") for line in lines
        ]
        rows += sorted(others)
    columns = ("data", "method", "tried", "dev", "test", "ECE", "kept")
    return table(columns, rows) if rows else ""


def _cell(line: Line | None) -> str:
    if line is None:
        return "-"
    low, high = line.interval
    return f"{line.accuracy:.4f} ({low:.4f} to {high:.4f})"


def _figures(line: Line) -> tuple[str, str, str]:
    return f"{dev_accuracy(line):.4f}", f"{line.accuracy:.4f}", f"{calibration_error(line):.3f}"


def _compared(line: Line, kept: Line) -> tuple[str, str, str]:
    """The same figures; those that choose and judge with their difference in points."""
    dev, test, error = _figures(line)
    dev_points = 100 * (dev_accuracy(line) - dev_accuracy(kept))
    test_points = 100 * (line.accuracy - kept.accuracy)
    return f"{dev} ({dev_points:+.2f})", f"{test} ({test_points:+.2f})", error


def _different(line: Line, kept: Line) -> list[str]:
    """The names of the settings in which two runs differ."""
    settings, others = (each.records[0].settings for each in (line, kept))
    return [name for name in dict.fromkeys([*settings, *others]) if settings.get(name) != others.get(name)]


def _settings(names: Iterable[str], line: Line) -> str:
    return ", ".join(filter(None, (_told(name, line.records[0].settings) for name in names)))


def _told(name: str, settings: Mapping[str, Any]) -> str:
    match name:
        case "warmup" | "eval_every":  # follow from the steps
            return ""
        case "prompt_dropout":  # which is missing where it is 0
            return f"prompt dropout {settings.get(name, 0)}"
        case "candidates":
            return f"{len(settings[name])} candidates" if name in settings else "one candidate"
        case "class_balanced":
            return "class balanced" if settings[name] else "not class balanced"
        case "calibration_folds":
            return f"{settings[name]} calibration folds" if name in settings else "calibrated on dev"
        case "template":
            return f"`{settings[name]}`".replace("\n", "⏎")
        case "verbalizers":
            return " or ".join(f"`{word.strip()}`" for word in settings[name])
        case _:
            return f"{name.replace('_', ' ')} {settings[name]:,}"
