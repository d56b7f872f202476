"""`softcall train`: learn a prompt from labelled texts."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from softcall.commands.options import (
    RATES_TOLD,
    CalibrationFoldsOption,
    CompileOption,
    DeviceOption,
    LabelColumnOption,
    TextColumnOption,
)
from softcall.core.errors import SoftcallError
from softcall.training.settings.config import Head, Precision, PromptChoice, Tracker, TrainConfig
from softcall.training.settings.prompt_init import PromptInit
from softcall.training.settings.sweep import Candidate

_BY_ROWS = "by the number of rows"


def train(
    data: Annotated[
        Path,
        typer.Argument(
            help="Labelled texts: JSONL, CSV (also .gz), Parquet, or a folder of Hugging Face datasets.",
            metavar="DATA",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The artifact to write, NAME.safetensors.")],
    dev: Annotated[
        Path | None,
        typer.Option(
            help="Rows to choose the best prompt by. Without it a folder's own, or a fixed part of DATA."
        ),
    ] = None,
    dev_fraction: Annotated[
        float | None,
        typer.Option(help="The part of DATA that is carved out (at most 1,000 rows).", show_default=_BY_ROWS),
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="Rows that are scored once, at the end, and recorded.")
    ] = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="Hugging Face folder or GGUF file of the frozen model.", show_default="SmolLM2-135M-Instruct"
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help=r"How a text is shown; \n is a line break. It should end in a cue.",
            show_default=r"{text}\nLabel:",
        ),
    ] = None,
    verbalizer: Annotated[
        list[str] | None,
        typer.Option(
            help="LABEL=WORDS that stand for a label; may be repeated.", show_default="the labels themselves"
        ),
    ] = None,
    prompt: Annotated[
        PromptChoice,
        typer.Option(
            help="Learn vectors below the first layer (soft), keys and values of every layer (kv), or both "
            "side by side, of which dev picks one (auto)."
        ),
    ] = TrainConfig.prompt,
    tokens: Annotated[
        int, typer.Option(help="The length of the prompt: 8, 16, 20 or 32.")
    ] = TrainConfig.tokens,
    any_length: Annotated[
        bool,
        typer.Option(
            "--any-length",
            help="Allow other prompt lengths; such a task shares no runs with others in the server.",
        ),
    ] = False,
    init: Annotated[
        PromptInit | None,
        typer.Option(
            help="Start from a text, from the labels' words, from words of the vocabulary, from noise, or "
            "from the artifact of --init-from.",
            show_default="text, or artifact with --init-from",
        ),
    ] = None,
    init_text: Annotated[
        str | None,
        typer.Option(help="The text for --init text.", show_default="an instruction that lists the labels"),
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            help="Start from another task's prompt (SPoT): an artifact's file, or a task of --store.",
            metavar="ARTIFACT_OR_TASK",
            show_default=False,
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Where --init-from finds a task: s3://bucket/prefix or file:/dir.",
            envvar="SOFTCALL_STORE",
            metavar="STORE",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        Head, typer.Option(help="Keep the label head made of the verbalizers, or train it from there.")
    ] = TrainConfig.head,
    sweep: Annotated[
        int,
        typer.Option(
            help="Train so many candidates (learning rates and starts) side by side, drop the worse half "
            "again and again, and keep the best; 8 compute 2.2 times as much as one. 1: no sweep.",
            metavar="K",
        ),
    ] = TrainConfig.sweep,
    candidate: Annotated[
        list[str] | None,
        typer.Option(
            help="A candidate of your own for a sweep; repeated. What it does not set is the run's own: "
            "learning-rate=0.03,init=vocab,tokens=8,seed=1,prompt=kv",
            metavar="NAME=VALUE,...",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Batches to train on.", show_default=_BY_ROWS)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows in a batch.", show_default=_BY_ROWS)] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak learning rate of the prompt.", show_default=RATES_TOLD)
    ] = TrainConfig.learning_rate,
    head_learning_rate: Annotated[
        float, typer.Option(help="Peak learning rate of a trained label head.")
    ] = TrainConfig.head_learning_rate,
    label_smoothing: Annotated[
        float, typer.Option(help="Share of the target that is spread over all labels; tames overfitting.")
    ] = TrainConfig.label_smoothing,
    token_dropout: Annotated[
        float,
        typer.Option(help="Share of a text's tokens left out, others in each step; tames overfitting."),
    ] = TrainConfig.token_dropout,
    prompt_dropout: Annotated[
        float,
        typer.Option(
            help="Share of the prompt's numbers taken back to their start, others in each step; tames "
            "overfitting."
        ),
    ] = TrainConfig.prompt_dropout,
    weight_decay: Annotated[
        float,
        typer.Option(help="AdamW's decay of the prompt: of a KV prompt towards its start, else towards 0."),
    ] = TrainConfig.weight_decay,
    class_balanced: Annotated[
        bool, typer.Option("--class-balanced", help="Let every label weigh the same, whatever its rows.")
    ] = TrainConfig.class_balanced,
    warmup: Annotated[
        int | None, typer.Option(help="Steps until the peak.", show_default="a twentieth of the steps")
    ] = None,
    max_text_tokens: Annotated[
        int, typer.Option(help="Longer texts are cut (the template never is).")
    ] = TrainConfig.max_text_tokens,
    eval_every: Annotated[
        int | None,
        typer.Option(
            help="Steps between two scorings of dev, each with a checkpoint.", show_default=_BY_ROWS
        ),
    ] = None,
    patience: Annotated[
        int, typer.Option(help="Stop after so many scorings without a better one; 0 never stops early.")
    ] = TrainConfig.patience,
    seed: Annotated[
        int, typer.Option(help="Decides the order of rows and any random start.")
    ] = TrainConfig.seed,
    abstain_threshold: Annotated[
        str | None,
        typer.Option(
            help="Probability below which the served task gives no label; auto: where dev has most right "
            "minus wrong answers.",
            metavar="auto|P",
            show_default="always answer",
        ),
    ] = None,
    calibration_folds: CalibrationFoldsOption = TrainConfig.calibration_folds,
    device: DeviceOption = TrainConfig.device,
    dtype: Annotated[
        Precision, typer.Option(help="What the frozen base computes in; scores are taken in float32 always.")
    ] = TrainConfig.dtype,
    compiled: CompileOption = False,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option(
            "--gradient-checkpointing",
            help="Compute activations anew when gradients need them: less memory, longer steps.",
        ),
    ] = TrainConfig.gradient_checkpointing,
    report_to: Annotated[
        list[Tracker] | None,
        typer.Option(
            help="A tracker that gets the curves too, by transformers' integration; may be repeated.",
            show_default="TensorBoard alone",
        ),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoints and TensorBoard events.", show_default="runs/, a folder of its own for each run"
        ),
    ] = None,
) -> None:
    r"""Learn a prompt from labelled texts; the frozen base never changes.

    The same command after a kill goes on from its last checkpoint and ends with the same prompt.

    Example: softcall train train.jsonl --test test.jsonl --out intents.safetensors
    """
    init = init or (PromptInit.TEXT if init_from is None else PromptInit.ARTIFACT)
    own = Candidate(learning_rate, init, tokens, seed, prompt.types[0])
    config = TrainConfig(
        data=data,
        out=out,
        dev=dev,
        dev_fraction=dev_fraction,
        test=test,
        text_columns=tuple(text_column or ()),
        label_column=label_column,
        base=base,
        template=template.replace(r"\n", "\n") if template is not None else None,
        verbalizers=_verbalizers(verbalizer or []),
        prompt=prompt,
        tokens=tokens,
        any_length=any_length,
        init=init,
        init_text=init_text,
        init_from=init_from,
        store=store,
        head=head,
        sweep=sweep,
        candidates=tuple(own.varied(text) for text in candidate or []),
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        head_learning_rate=head_learning_rate,
        label_smoothing=label_smoothing,
        token_dropout=token_dropout,
        prompt_dropout=prompt_dropout,
        weight_decay=weight_decay,
        class_balanced=class_balanced,
        warmup=warmup,
        max_text_tokens=max_text_tokens,
        eval_every=eval_every,
        patience=patience,
        seed=seed,
        abstain_threshold=_threshold(abstain_threshold),
        calibration_folds=calibration_folds,
        device=device,
        dtype=dtype,
        compiled=compiled,
        gradient_checkpointing=gradient_checkpointing,
        report_to=tuple(report_to or ()),
        run_dir=run_dir,
    )
    try:
        from accelerate import PartialState

        from softcall.training.train import train as run
    except ModuleNotFoundError as error:
        raise SoftcallError(
            f"training needs PyTorch ({error.name} is missing): pip install 'softcall[torch]'"
        ) from None
    from rich.console import Console

    run(config, Console(stderr=True))
    PartialState().destroy_process_group()  # where there are several


def _threshold(text: str | None) -> float | Literal["auto"] | None:
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise SoftcallError(f"--abstain-threshold {text!r}: expected auto, or a probability") from None


def _verbalizers(pairs: list[str]) -> dict[str, str]:
    verbalizers: dict[str, str] = {}
    for pair in pairs:
        label, equals, words = pair.partition("=")
        if not (label and equals and words.strip()):
            raise SoftcallError(f"--verbalizer {pair!r}: expected LABEL=WORDS, such as 'pos= positive'")
        if label in verbalizers:
            raise SoftcallError(f"--verbalizer names the label {label!r} twice")
        verbalizers[label] = words
    return verbalizers
