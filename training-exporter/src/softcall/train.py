"""Train a soft prompt: the base stays frozen, only the prompt's vectors (and the label head) learn.

A row is [prompt; text], padded on the right. The trunk's hidden row at its last token, times the label
head, gives the label logits; the loss is the cross-entropy over the labels alone. Read from `train`
downwards.
"""

import copy
import math
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from rich.console import Console
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.tensorboard import SummaryWriter

import softcall
from softcall import train_checkpoint
from softcall.artifact import Artifact
from softcall.classifier import PromptedClassifier, pad_right, torch_device
from softcall.errors import SoftcallError
from softcall.label_head import default_verbalizer, verbalizer_head
from softcall.prompt_init import PromptInit, default_init_text, initial_prompt
from softcall.scores import Scores
from softcall.source import LoadedBase, Source
from softcall.template import Template
from softcall.train_batches import LengthBuckets
from softcall.train_checkpoint import RunState
from softcall.train_config import Head, Precision, TrainConfig
from softcall.train_data import Examples, TrainingRows, encode
from softcall.train_progress import TrainingProgress

LOG_EVERY = 10  # steps between two points in TensorBoard


def train(config: TrainConfig, console: Console) -> Artifact:
    """Run `config` to its end, write the artifact to `config.out`, and return it.

    Goes on from the run folder's checkpoint where there is one. What was picked and what was reached is
    told on `console`. Raises `SoftcallError` for input that cannot be trained on, and when loss or gradient
    are no longer finite.
    """
    _require_folder("--out", config.out.parent)
    device = torch_device(config.device)
    rows = TrainingRows.read(config)
    words = _verbalizers(config, rows.labels)
    base = Source.resolve(config.base).load()
    _require_positions(config, base)
    template = Template(config.template or rows.default_template)
    examples = {
        name: encode(part, rows.labels, template, base, config.max_text_tokens)
        for name, part in (("train", rows.train), ("dev", rows.dev), ("test", rows.test))
    }
    identity = config.identity() | rows.identity
    identity |= {"base": base.fingerprint, "template": template.source, "verbalizers": words}
    folder = config.run_folder(identity)
    announce(console, config, rows, examples, template, base, words, device, folder)

    with deterministic():
        classifier = first_classifier(config, base, words).to(device)
        exact = base.model.base_model.to(device)  # float32: what every score is taken with
        trunk = exact if config.dtype == Precision.FLOAT32 else copy.deepcopy(exact).to(torch.bfloat16)
        state = fit(config, classifier, trunk, exact, examples, rows.labels, folder, identity, console)
        classifier.load_state_dict(state.best)
        results = {
            name: score(classifier, exact, examples[name], rows.labels)
            for name in ("dev", "test")
            if examples[name].ids
        }

    artifact = Artifact(
        prompt=classifier.prompt.detach().cpu().numpy(),
        label_head=classifier.label_head.detach().cpu().numpy(),
        label_bias=classifier.label_bias.detach().cpu().numpy(),
        template=template,
        labels=rows.labels,
        base_name=base.name,
        base_fingerprint=base.fingerprint,
        metrics={
            f"{name}_{key}": value
            for name, result in results.items()
            for key, value in result.metrics.items()
        },
        training=provenance(config, rows, words, state, device),
    )
    draft = config.out.with_name(config.out.name + ".draft")
    draft.write_bytes(artifact.to_bytes())
    draft.replace(config.out)
    for name, result in results.items():
        _say(console, f"{name}: {result.told} of {result.scores.rows:,} rows")
    _say(
        console,
        f"wrote {config.out} ({config.out.stat().st_size:,} bytes): the prompt of step {state.best_step}",
    )
    return artifact


def fit(
    config: TrainConfig,
    classifier: PromptedClassifier,
    trunk: nn.Module,
    exact: nn.Module,
    examples: dict[str, Examples],
    labels: tuple[str, ...],
    folder: Path,
    identity: dict[str, Any],
    console: Console,
) -> RunState:
    """The loop: from the folder's checkpoint, or from the start, to the last step or the early stop.

    `trunk` takes the steps; `exact`, the same weights in float32, scores dev.
    """
    device = classifier.prompt.device
    ids, answers = examples["train"].ids, torch.from_numpy(examples["train"].answers).to(device)
    buckets = LengthBuckets(examples["train"].lengths, config.batch_size, config.seed)
    optimizer = torch.optim.AdamW(
        parameter_groups(config, classifier), lr=0.0, weight_decay=config.weight_decay
    )

    _require_folder("--run-dir", folder)
    state = train_checkpoint.load(folder, identity) or RunState()
    if state.step:
        classifier.load_state_dict(state.classifier)
        optimizer.load_state_dict(state.optimizer)
        _say(console, f"going on from step {state.step}, found in {folder}")

    with (
        SummaryWriter(str(folder), purge_step=state.step + 1) as board,
        TrainingProgress(console, config.steps, state.step) as progress,
    ):
        for step in range(state.step + 1, config.steps + 1):
            if config.patience and state.stale >= config.patience:
                progress.line(state.step, f"stopped early: {state.stale} evaluations without a better one")
                break
            share = learning_rate_share(step, config.warmup_steps, config.steps)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * share

            batch = buckets.batch(step - 1)
            logits = classifier(trunk, *pad_right([ids[i] for i in batch], device))
            gold = answers[torch.from_numpy(batch).to(device)]
            loss = functional.cross_entropy(logits, gold, label_smoothing=config.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            gradient = nn.utils.clip_grad_norm_(
                [parameter for parameter in classifier.parameters() if parameter.requires_grad],
                config.clip_norm,
            )
            lost, norm = torch.stack([loss.detach(), gradient]).tolist()  # the step's one wait for the device
            if not (math.isfinite(lost) and math.isfinite(norm)):
                raise SoftcallError(_not_finite(config, state, step, lost, norm, folder))
            optimizer.step()

            progress.step(step, lost)
            if step % LOG_EVERY == 0:
                board.add_scalar("train/loss", lost, step)
                board.add_scalar("train/gradient_norm", norm, step)
                board.add_scalar(
                    "train/prompt_norm", classifier.prompt.detach().norm(dim=1).mean().item(), step
                )
                board.add_scalar("train/learning_rate", config.learning_rate * share, step)
            if step % config.eval_every == 0 or step == config.steps:
                dev = score(classifier, exact, examples["dev"], labels)
                for name, value in dev.metrics.items():
                    board.add_scalar(f"dev/{name}", value, step)
                board.flush()
                better = state.advance(step, dev.scores.accuracy, dev.loss, classifier, optimizer)
                train_checkpoint.save(folder, identity, state)
                progress.line(step, f"loss {lost:.3f}  dev: {dev.told}{'  best so far' if better else ''}")
    return state


def parameter_groups(config: TrainConfig, classifier: PromptedClassifier) -> list[dict[str, Any]]:
    """What learns, with the peak of its learning rate. Nothing of the base is among it."""
    groups = [{"params": [classifier.prompt], "peak": config.learning_rate}]
    if config.head == Head.TRAINED:
        groups += [
            {"params": [classifier.label_head, classifier.label_bias], "peak": config.head_learning_rate}
        ]
    return groups


def learning_rate_share(step: int, warmup: int, steps: int) -> float:
    """The share of the peak at `step` (1 to `steps`): a line up over `warmup`, then a cosine down to zero."""
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup + 1)))


@dataclass(frozen=True)
class Result:
    """Examples that were scored: their mean cross-entropy, and the labels they got."""

    loss: float
    scores: Scores

    @property
    def metrics(self) -> dict[str, float]:
        """The figures that are kept."""
        scores = self.scores
        return {
            "accuracy": scores.accuracy,
            "macro_f1": scores.macro_f1,
            "loss": self.loss,
            "rows": scores.rows,
        }

    @property
    def told(self) -> str:
        """The figures in words."""
        return (
            f"accuracy {self.scores.accuracy:.4f}, macro-F1 {self.scores.macro_f1:.4f}, loss {self.loss:.3f}"
        )


def score(
    classifier: PromptedClassifier, exact: nn.Module, examples: Examples, labels: tuple[str, ...]
) -> Result:
    """Score examples with the float32 trunk, so that the figures are those of serving."""
    logits = torch.from_numpy(classifier.score(exact, examples.ids)).double()
    loss = functional.cross_entropy(logits, torch.from_numpy(examples.answers)).item()
    gold = tuple(labels[i] for i in examples.answers)
    return Result(loss, Scores(labels, gold, tuple(labels[i] for i in logits.argmax(dim=1))))


# Where the prompt and the label head start


def first_classifier(config: TrainConfig, base: LoadedBase, words: Sequence[str]) -> PromptedClassifier:
    """The prompt by `config.init`, a label head of the verbalizers' rows, a bias of zeros."""
    prompt = initial_prompt(
        config.init,
        config.tokens,
        _rows_of(base.model.get_input_embeddings()),
        base.tokenizer,
        init_text=_init_text(config, words),
        verbalizers=words,
        seed=config.seed,
    )
    head = verbalizer_head(_rows_of(base.model.get_output_embeddings()), base.tokenizer, words)
    bias = np.zeros(len(head), np.float32)
    return PromptedClassifier(prompt, head, bias, train_head=config.head == Head.TRAINED)


def _rows_of(embedding: nn.Module) -> Callable[[Sequence[int]], np.ndarray]:
    return lambda ids: embedding.weight[torch.as_tensor(ids)].detach().numpy()


def _verbalizers(config: TrainConfig, labels: tuple[str, ...]) -> list[str]:
    """The words that stand for each label."""
    for label in config.verbalizers:
        if label not in labels:
            raise SoftcallError(
                f"--verbalizer names {label!r}, which is no label of {config.data}; "
                f"its labels are {', '.join(labels[:20])}"
            )
    return [config.verbalizers.get(label, default_verbalizer(label)) for label in labels]


def _init_text(config: TrainConfig, words: Sequence[str]) -> str:
    return config.init_text if config.init_text is not None else default_init_text(words)


# Surroundings


@contextmanager
def deterministic() -> Iterator[None]:
    """Kernels that sum in one order, so that a command gives one prompt (on one kind of device)."""
    # cuBLAS reads this when it is first used: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True)
    try:
        # The other kernels for attention add their gradients in any order.
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def announce(
    console: Console,
    config: TrainConfig,
    rows: TrainingRows,
    examples: dict[str, Examples],
    template: Template,
    base: LoadedBase,
    words: Sequence[str],
    device: torch.device,
    folder: Path,
) -> None:
    """Say what was picked, so that no default is a secret."""
    init = config.init.value
    if config.init == PromptInit.TEXT:
        init += f" {_init_text(config, words)[:60]!r}"
    head = f" (head {config.head_learning_rate:g})" if config.head == Head.TRAINED else ""
    longest = max(examples["train"].lengths)
    cut = sum(part.cut for part in examples.values())
    lines = [
        f"base      {base.name} on {_device_name(device)}; steps in {config.dtype}, scores in float32",
        f"rows      {len(rows.train):,} train, {len(rows.dev):,} dev, {len(rows.test):,} test",
        f"labels    {len(rows.labels)}; label head: {config.head}",
        f"texts     {template.source!r}, at most {longest} tokens; {cut:,} texts were cut",
        f"prompt    {config.tokens} tokens from {init}",
        f"steps     {config.steps:,} of {config.batch_size} rows, seed {config.seed}",
        f"learning  rate {config.learning_rate:g}{head}, {config.warmup_steps} steps of warm-up, cosine",
        f"run       {folder}",
    ]
    lines += [f"warning   {note}" for note in rows.notes]
    _say(console, "\n".join(lines))


def provenance(
    config: TrainConfig, rows: TrainingRows, words: Sequence[str], state: RunState, device: torch.device
) -> dict[str, Any]:
    """How the prompt was trained, for people; two runs of one command have the same."""
    done = {"train_rows": len(rows.train), "best_step": state.best_step, "last_step": state.step}
    versions = {
        "softcall": softcall.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    picked = {"init_text": _init_text(config, words)} if config.init == PromptInit.TEXT else {}
    where = {"device": _device_name(device), "versions": versions}
    return (
        rows.identity
        | rows.test_identity
        | config.identity()
        | picked
        | {"verbalizers": list(words)}
        | done
        | where
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _require_folder(option: str, folder: Path) -> None:
    """Make a folder, and learn before the training, not after it, that nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SoftcallError(f"{option}: the folder {folder} cannot be made ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise SoftcallError(f"{option}: the folder {folder} is not writable")


def _require_positions(config: TrainConfig, base: LoadedBase) -> None:
    positions = base.model.config.max_position_embeddings
    if config.tokens + config.max_text_tokens > positions:
        raise SoftcallError(
            f"--tokens {config.tokens} and --max-text-tokens {config.max_text_tokens} are together more than"
            f" the {positions} positions of {base.name}"
        )


def _not_finite(
    config: TrainConfig, state: RunState, step: int, lost: float, norm: float, folder: Path
) -> str:
    best = f"best dev accuracy {state.best_accuracy:.4f}"
    kept = f"The checkpoint of step {state.step} ({best}) is kept in {folder}."
    lower = f"a lower --learning-rate (now {config.learning_rate:g})"
    if config.head == Head.TRAINED:
        lower += f" or --head-learning-rate (now {config.head_learning_rate:g})"
    if config.dtype != Precision.FLOAT32:
        lower += " or --dtype float32"
    return (
        f"step {step}: the loss is {lost:g} and the gradient's norm {norm:g}, so training stops."
        f" {kept if state.step else 'No checkpoint had been written yet.'} Try {lower}"
    )
