"""`softcall data`: check labelled texts before training."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softcall.commands.options import LabelColumnOption, TextColumnOption
from softcall.core.printable import printable, printable_json
from softcall.training.settings.config import TrainConfig

if TYPE_CHECKING:
    from softcall.datasets.report import DataReport

SHOWN_LABELS = 12


def data(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="The file to train on, then others to hold against it (dev, test); or one folder of Hugging "
            "Face datasets, with parts of its own.",
            metavar="DATA...",
            show_default=False,
        ),
    ],
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    template: Annotated[
        str | None,
        typer.Option(help=r"How a text is shown; \n is a line break.", show_default=r"{text}\nLabel:"),
    ] = None,
    max_text_tokens: Annotated[
        int, typer.Option(help="Training cuts longer texts.", min=1)
    ] = TrainConfig.max_text_tokens,
    base: Annotated[
        Path | None,
        typer.Option(
            help="Base bundle or Hugging Face folder with the tokenizer that counts.",
            show_default="SmolLM2-135M-Instruct",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check labelled texts: what is read, and what would spoil training or its scores.

    Ends with status 1 where training would refuse them; warnings do not count.

    Example: softcall data train.csv test.csv --text-column sentence
    """
    from softcall.datasets.columns import ColumnChoice
    from softcall.datasets.report import report_of

    columns = ColumnChoice(tuple(text_column or ()), label_column)
    shown = template.replace(r"\n", "\n") if template is not None else None
    report = report_of(sources, columns, shown, max_text_tokens, base)
    if as_json:
        record = {"failed": report.failed, **asdict(report)}
        typer.echo(printable_json(record, indent=2))
    else:
        _print(report)
    if report.failed:
        raise typer.Exit(1)


def _print(report: "DataReport") -> None:
    if report.parts:
        typer.echo(f"template  {report.template!r}")
    for part in report.parts:
        typer.echo(f"\n{printable(part.name)}")
        lengths = part.lengths
        typer.echo(f"  rows    {part.rows:,}; median {lengths.median:,} tokens, longest {lengths.longest:,}")
        counts = [f"{printable(label)} {count:,}" for label, count in part.labels.items()]
        more = ", ..." if len(counts) > SHOWN_LABELS else ""
        several = (
            ""
            if part.labels_per_row is None
            else f", any number of them a row, {part.labels_per_row:.2f} on average"
        )
        typer.echo(f"  labels  {len(counts)}{several}: {', '.join(counts[:SHOWN_LABELS])}{more}")
    typer.echo()
    for finding in report.findings:
        typer.echo(f"{finding.severity:<8} {finding.message}")
    if not report.findings:
        typer.echo("nothing to complain about")
