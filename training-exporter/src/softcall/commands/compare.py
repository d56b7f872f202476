"""`softcall compare`: soft and KV prompts beside LoRA, full fine-tuning, words alone, word statistics."""

from pathlib import Path
from typing import Annotated

import typer

from softcall.commands.options import RATES_TOLD, CalibrationFoldsOption, CompileOption, DeviceOption
from softcall.comparison.config import CompareConfig, DataSet, Method
from softcall.core.errors import SoftcallError
from softcall.training.settings.config import Device, Precision
from softcall.training.settings.prompt_init import PromptInit

_BY_ROWS = "by the number of rows"


def compare(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Folders with train and test, perhaps dev (.jsonl or .csv, also .gz) and a task.json.",
            metavar="DATA...",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The folder of the report, the runs and the prompts; finished runs are kept.")
    ],
    method: Annotated[
        list[Method] | None, typer.Option(help="What to compare; repeated.", show_default="all")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each method that has seeds.")] = CompareConfig.seeds,
    base: Annotated[
        str | None,
        typer.Option(
            help="Hugging Face folder or GGUF file of the model.", show_default="SmolLM2-135M-Instruct"
        ),
    ] = None,
    tokens: Annotated[int, typer.Option(help="The length of prompts.")] = CompareConfig.tokens,
    any_length: Annotated[
        bool, typer.Option("--any-length", help="Accept prompts of other lengths than 8, 16, 20 and 32.")
    ] = False,
    init: Annotated[PromptInit, typer.Option(help="Where prompts start.")] = CompareConfig.init,
    sweep: Annotated[
        int, typer.Option(help="Candidates of which the best prompt on dev is taken.", metavar="K")
    ] = CompareConfig.sweep,
    steps: Annotated[int | None, typer.Option(help="Batches to train on.", show_default=_BY_ROWS)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows in a batch.", show_default=_BY_ROWS)] = None,
    eval_every: Annotated[
        int | None, typer.Option(help="Steps between two scorings of dev.", show_default=_BY_ROWS)
    ] = None,
    max_text_tokens: Annotated[
        int, typer.Option(help="Longer texts are cut.")
    ] = CompareConfig.max_text_tokens,
    label_smoothing: Annotated[
        float, typer.Option(help="Share of the target that goes to all labels alike.")
    ] = CompareConfig.label_smoothing,
    class_balanced: Annotated[
        bool, typer.Option("--class-balanced", help="Let every label count the same in the loss.")
    ] = CompareConfig.class_balanced,
    token_dropout: Annotated[
        float, typer.Option(help="Share of a text's tokens left out in training, others in each step.")
    ] = CompareConfig.token_dropout,
    prompt_dropout: Annotated[
        float,
        typer.Option(help="Share of a prompt's numbers taken back to their start, others in each step."),
    ] = CompareConfig.prompt_dropout,
    weight_decay: Annotated[
        float, typer.Option(help="AdamW's decay of prompts: of KV prompts towards their start.")
    ] = CompareConfig.weight_decay,
    calibration_folds: CalibrationFoldsOption = CompareConfig.calibration_folds,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate of prompts.", show_default=RATES_TOLD)
    ] = CompareConfig.learning_rate,
    lora_learning_rate: Annotated[
        float, typer.Option(help="Peak learning rate of LoRA.")
    ] = CompareConfig.lora_learning_rate,
    full_learning_rate: Annotated[
        float, typer.Option(help="Peak learning rate of full fine-tuning.")
    ] = CompareConfig.full_learning_rate,
    lora_rank: Annotated[int, typer.Option(help="Rank of LoRA's matrices.")] = CompareConfig.lora_rank,
    jobs: Annotated[
        int, typer.Option(help="Processes that share the device; their seconds are longer for it.")
    ] = CompareConfig.jobs,
    device: DeviceOption = Device.AUTO,
    dtype: Annotated[
        Precision, typer.Option(help="What the base computes in; scores are taken in float32 always.")
    ] = Precision.FLOAT32,
    compiled: CompileOption = False,
) -> None:
    """Compare ways to a classifier on the same rows and steps; writes report.md and report.html.

    The same command after a kill goes on with the runs that are missing.

    Example: softcall compare data/sst2 data/trec --out comparison
    """
    config = CompareConfig(
        data=tuple(DataSet.open(folder) for folder in data),
        out=out,
        methods=tuple(method or Method),
        seeds=seeds,
        base=base,
        tokens=tokens,
        any_length=any_length,
        init=init,
        sweep=sweep,
        steps=steps,
        batch_size=batch_size,
        eval_every=eval_every,
        max_text_tokens=max_text_tokens,
        label_smoothing=label_smoothing,
        class_balanced=class_balanced,
        token_dropout=token_dropout,
        prompt_dropout=prompt_dropout,
        weight_decay=weight_decay,
        calibration_folds=calibration_folds,
        learning_rate=learning_rate,
        lora_learning_rate=lora_learning_rate,
        full_learning_rate=full_learning_rate,
        lora_rank=lora_rank,
        jobs=jobs,
        device=device,
        dtype=dtype,
        compiled=compiled,
    )
    try:
        from softcall.comparison.compare import compare as run
        from softcall.comparison.report import HTML, MARKDOWN, markdown, write_report
        from softcall.comparison.sections import sections
    except ModuleNotFoundError as error:
        raise SoftcallError(
            f"comparing needs PyTorch and scikit-learn ({error.name} is missing): "
            "pip install 'softcall[compare]'"
        ) from None
    from rich.console import Console

    records = run(config, Console(stderr=True))
    write_report(records, out)
    typer.echo(markdown(sections(records)))
    typer.echo(f"wrote {out / MARKDOWN} and {out / HTML}", err=True)
