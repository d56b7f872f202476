"""`softcall eval`: score a task on labelled texts."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from softcall.commands.options import DeviceOption, LabelColumnOption, TextColumnOption
from softcall.core.errors import SoftcallError
from softcall.core.printable import printable, printable_json
from softcall.datasets.columns import ColumnChoice
from softcall.evaluation.evaluation import Evaluation
from softcall.evaluation.multi_label import LabelSetScores
from softcall.evaluation.scores import CALIBRATION_BINS, LabelScore, Scores
from softcall.evaluation.server import evaluate_server
from softcall.training.settings.config import Device

MOST_LABELS = 12  # up to so many, everything is shown
WORST_LABELS = 10
TOP_CONFUSIONS = 10


def evaluate(
    task: Annotated[
        str,
        typer.Argument(
            help="An artifact's file, or a task's name with --server.", metavar="ARTIFACT_OR_TASK"
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            help="Labelled texts: JSONL, CSV (also .gz), Parquet, or a folder of Hugging Face datasets."
        ),
    ],
    server: Annotated[
        str | None,
        typer.Option(
            help="Ask this running server instead of PyTorch; an API key is taken from SOFTCALL_API_KEY.",
            metavar="URL",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="Hugging Face folder or GGUF file of the frozen model.", show_default="SmolLM2-135M-Instruct"
        ),
    ] = None,
    max_text_tokens: Annotated[
        int | None,
        typer.Option(help="Cut longer texts (the template never is).", min=1, show_default="never cut"),
    ] = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    device: DeviceOption = Device.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a task on labelled texts, with PyTorch or against a running server.

    Example: softcall eval intents.safetensors test.jsonl

    Example: softcall eval banking77 test.jsonl --server http://localhost:8080
    """
    columns = ColumnChoice(tuple(text_column or ()), label_column)
    if server is not None:
        if base is not None:
            raise SoftcallError(
                "--base goes with an artifact, not with --server: a server has a base of its own"
            )
        key = os.environ.get("SOFTCALL_API_KEY")
        result = evaluate_server(
            server, task, file, api_key=key, max_text_tokens=max_text_tokens, columns=columns
        )
    else:
        try:
            from softcall.evaluation.local import evaluate_artifact

            result = evaluate_artifact(
                Path(task),
                file,
                base=base,
                device=device.value,
                max_text_tokens=max_text_tokens,
                columns=columns,
            )
        except ModuleNotFoundError as error:
            raise SoftcallError(
                f"scoring an artifact needs PyTorch ({error.name} is missing): pip install 'softcall[torch]'"
            ) from None
    if as_json:
        typer.echo(printable_json(_json(result), indent=2))
    else:
        _print(result, Console(highlight=False))


def _json(result: Evaluation) -> dict[str, Any]:
    answered = {
        "answered_by": result.answered_by,
        "versions": list(result.versions),
        "ms_per_text": result.ms_per_text,
    }
    return _json_scores(result.scores) | answered


def _json_scores(scores: Scores | LabelSetScores) -> dict[str, Any]:
    if isinstance(scores, LabelSetScores):
        return {
            "rows": scores.rows,
            "micro_f1": scores.micro_f1,
            "macro_f1": scores.macro_f1,
            "exact_match": scores.exact_match,
            "per_label": [vars(label) for label in scores.per_label],
        }
    return {
        "rows": scores.rows,
        "accuracy": scores.accuracy,
        "accuracy_interval_95": list(scores.interval),
        "macro_f1": scores.macro_f1,
        "calibration_error": scores.calibration_error,
        "abstained": scores.abstained,
        "per_label": [vars(label) for label in scores.per_label],
        "confusions": [
            {"gold": gold, "predicted": wrong, "count": n} for gold, wrong, n in scores.confusions()
        ],
    }


def _print(result: Evaluation, console: Console) -> None:
    scores = result.scores
    if isinstance(scores, LabelSetScores):
        console.print(f"micro-F1   {scores.micro_f1:.4f}")
        console.print(f"macro-F1   {scores.macro_f1:.4f}")
        console.print(f"exact      {scores.exact_match:.4f}  (rows whose labels are all right)")
        console.print(f"rows       {scores.rows:,}")
    else:
        _print_accuracy(scores, console)
    console.print(f"time       {result.ms_per_text:.1f} ms per text, {result.answered_by}", markup=False)
    if result.versions:
        console.print(f"version    {printable(', '.join(result.versions))}", markup=False)
    if len(result.versions) > 1:
        console.print("warning    the task was replaced while it was scored")
    console.print(_label_table(scores.per_label))
    if isinstance(scores, Scores):
        is_small = len(scores.labels) <= MOST_LABELS
        console.print(_confusion_table(scores) if is_small else _confusion_list(scores))


def _print_accuracy(scores: Scores, console: Console) -> None:
    low, high = scores.interval
    console.print(f"accuracy   {scores.accuracy:.4f}  (95 % interval {low:.4f} to {high:.4f})")
    console.print(f"macro-F1   {scores.macro_f1:.4f}")
    if scores.calibration_error is not None:
        console.print(
            f"ECE        {scores.calibration_error:.4f}"
            f"  (expected calibration error, {CALIBRATION_BINS} bins)"
        )
    console.print(
        f"rows       {scores.rows:,}" + (f", {scores.abstained:,} abstained" if scores.abstained else "")
    )


def _label_table(labels: Sequence[LabelScore]) -> Table:
    title = "labels"
    if len(labels) > MOST_LABELS:
        title = f"the {WORST_LABELS} worst of {len(labels)} labels"
        labels = sorted(labels, key=lambda label: label.f1)[:WORST_LABELS]
    table = Table(title=title, title_justify="left")
    table.add_column("label", overflow="fold")
    for column in ("precision", "recall", "F1", "rows"):
        table.add_column(column, justify="right")
    for label in labels:
        table.add_row(
            _plain(label.label),
            f"{label.precision:.3f}",
            f"{label.recall:.3f}",
            f"{label.f1:.3f}",
            str(label.rows),
        )
    return table


def _confusion_table(scores: Scores) -> Table:
    table = Table("gold \\ predicted", title="confusions", title_justify="left")
    columns = [*map(_plain, scores.labels), *(["(abstained)"] if scores.abstained else [])]
    for column in columns:
        table.add_column(column, justify="right")
    for label, counts in zip(scores.labels, scores.confusion, strict=True):
        table.add_row(_plain(label), *(str(count) if count else "." for count in counts[: len(columns)]))
    return table


def _confusion_list(scores: Scores) -> Table:
    table = Table(title="most frequent confusions", title_justify="left")
    table.add_column("gold", overflow="fold")
    table.add_column("predicted", overflow="fold")
    table.add_column("rows", justify="right")
    for gold, predicted, count in scores.confusions()[:TOP_CONFUSIONS]:
        table.add_row(_plain(gold), "(abstained)" if predicted is None else _plain(predicted), str(count))
    return table


def _plain(label: str) -> str:
    """Return a label without rich's markup."""
    from rich.markup import escape

    return escape(printable(label))
