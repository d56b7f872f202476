"""Train a soft prompt: the base stays frozen, only the prompt's vectors (and the label head) learn.

Rows are [prompt; text], padded on the right. The trunk's hidden row at each row's last token times the label head gives
the label logits; the loss is the cross-entropy over the labels alone. Read from `train` downwards.
"""

import copy
import math
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.tensorboard import SummaryWriter

import softcall.train_checkpoint as checkpoint
from softcall import __version__
from softcall.artifact import Artifact
from softcall.classifier import PromptedClassifier, pad_right, torch_device
from softcall.data import PAIR, Row, file_sha256, labels_of, read_rows, split_dev
from softcall.errors import SoftcallError
from softcall.label_head import default_verbalizer, verbalizer_head
from softcall.prompt_init import PromptInit, default_init_text, initial_prompt
from softcall.scores import Scores
from softcall.source import LoadedBase, Source
from softcall.template import Template
from softcall.train_batches import LengthBuckets
from softcall.train_checkpoint import RunState
from softcall.train_config import Head, Precision, TrainConfig
from softcall.train_progress import TrainingProgress

LOG_EVERY = 10  # steps between two points in TensorBoard


def train(config: TrainConfig, console: Console) -> Artifact:
    """Run `config` to its end, write the artifact to `config.out` and return it.

    Continues from the run folder's checkpoint where there is one. What was picked and what was reached goes to
    `console`. Raises `SoftcallError` for input that cannot be trained on and for a loss that is no longer finite.
    """
    device = torch_device(config.device)
    with deterministic():
        data = read_data(config)
        base = Source.resolve(config.base).load()
        template = Template(config.template or _default_template(data.train))
        tokens = encode_data(data, template, base, config)
        verbalizers = [config.verbalizers.get(label, default_verbalizer(label)) for label in data.labels]
        identity = config.identity() | data.identity | {
            "base": base.fingerprint, "template": template.source, "labels": list(data.labels), "verbalizers": verbalizers,
        }  # fmt: skip
        folder = config.run_folder(identity)
        _announce(console, config, data, base, template, tokens, device, folder)

        exact = base.model.base_model.to(device)  # float32: what scores
        trunk = exact if config.dtype == Precision.FLOAT32 else copy.deepcopy(exact).to(torch.bfloat16)
        classifier = first_classifier(config, base, verbalizers).to(device)
        state = fit(config, classifier, trunk, exact, data, tokens, folder, identity, console)

        classifier.load_state_dict(state.best)
        metrics = {"dev_rows": len(data.dev)} | _metrics(
            "dev", score(classifier, exact, data.dev, tokens.dev, data.labels)
        )
        if data.test:
            metrics |= {"test_rows": len(data.test)} | _metrics(
                "test", score(classifier, exact, data.test, tokens.test, data.labels)
            )
    artifact = Artifact(
        prompt=classifier.prompt.detach().cpu().numpy(),
        label_head=classifier.label_head.detach().cpu().numpy(),
        label_bias=classifier.label_bias.detach().cpu().numpy(),
        template=template,
        labels=data.labels,
        base_name=base.name,
        base_fingerprint=base.fingerprint,
        metrics=metrics,
        training=_provenance(config, data, state, device),
    )
    _write(config.out, artifact.to_bytes())
    for name in ("dev", "test") if data.test else ("dev",):
        console.print(
            f"{name}: accuracy {metrics[f'{name}_accuracy']:.4f}, macro-F1 {metrics[f'{name}_macro_f1']:.4f} of {metrics[f'{name}_rows']} rows",
            highlight=False,
        )
    console.print(
        f"wrote {config.out} ({config.out.stat().st_size:,} bytes), the prompt of step {state.best_step}",
        highlight=False,
    )
    return artifact


def fit(
    config: TrainConfig,
    classifier: PromptedClassifier,
    trunk: nn.Module,
    exact: nn.Module,
    data: "Data",
    tokens: "Tokens",
    folder: Path,
    identity: dict[str, Any],
    console: Console,
) -> RunState:
    """The loop: from the folder's checkpoint, or from the start, to the last step or the early stop.

    `trunk` takes the steps and `exact`, the same weights in float32, scores dev.
    """
    device = classifier.prompt.device
    index = {label: i for i, label in enumerate(data.labels)}
    answers = torch.tensor([index[row.label] for row in data.train], device=device)
    buckets = LengthBuckets([len(ids) for ids in tokens.train], config.batch_size, config.seed)
    groups = [{"params": [classifier.prompt], "peak": config.learning_rate}]
    if config.head == Head.TRAINED:
        groups += [
            {"params": [classifier.label_head, classifier.label_bias], "peak": config.head_learning_rate}
        ]
    learned = [parameter for group in groups for parameter in group["params"]]
    optimizer = torch.optim.AdamW(groups, lr=0.0, weight_decay=config.weight_decay)

    folder.mkdir(parents=True, exist_ok=True)
    state = checkpoint.load(folder, identity) or RunState()
    if state.step:
        classifier.load_state_dict(state.classifier)
        optimizer.load_state_dict(state.optimizer)
        console.print(f"going on from step {state.step}, found in {folder}", highlight=False)

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
            ids, lengths = pad_right([tokens.train[i] for i in batch], device)
            loss = nn.functional.cross_entropy(
                classifier(trunk, ids, lengths), answers[torch.from_numpy(batch).to(device)]
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(learned, config.clip_norm)
            loss_now, norm_now = torch.stack([loss.detach(), norm]).tolist()  # one wait for the device a step
            if not (math.isfinite(loss_now) and math.isfinite(norm_now)):
                raise SoftcallError(_not_finite(config, state, step, loss_now, norm_now, folder))
            optimizer.step()

            progress.step(step, loss_now)
            if step % LOG_EVERY == 0:
                board.add_scalar("train/loss", loss_now, step)
                board.add_scalar("train/gradient_norm", norm_now, step)
                board.add_scalar(
                    "train/prompt_norm", classifier.prompt.detach().norm(dim=1).mean().item(), step
                )
                board.add_scalar("train/learning_rate", config.learning_rate * share, step)
            if step % config.eval_every == 0 or step == config.steps:
                dev = score(classifier, exact, data.dev, tokens.dev, data.labels)
                for name, value in _metrics("dev", dev).items():
                    board.add_scalar(name.replace("_", "/", 1), value, step)
                board.flush()
                better = state.improves(dev.scores.accuracy, dev.loss)
                if better:
                    state.best = {
                        name: tensor.detach().cpu().clone()
                        for name, tensor in classifier.state_dict().items()
                    }
                    state.best_step, state.best_accuracy, state.best_loss = (
                        step,
                        dev.scores.accuracy,
                        dev.loss,
                    )
                state.stale = 0 if better else state.stale + 1
                state.step, state.classifier, state.optimizer = (
                    step,
                    classifier.state_dict(),
                    optimizer.state_dict(),
                )
                checkpoint.save(folder, identity, state)
                progress.line(
                    step,
                    f"loss {loss_now:.3f}  dev loss {dev.loss:.3f}  accuracy {dev.scores.accuracy:.4f}  "
                    f"macro-F1 {dev.scores.macro_f1:.4f}{'  best so far' if better else ''}",
                )
    return state


def learning_rate_share(step: int, warmup: int, steps: int) -> float:
    """The share of the peak learning rate at `step` (1 to `steps`): a line up over `warmup`, then a cosine down to 0."""
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup + 1)))


@dataclass(frozen=True)
class Result:
    """Rows that were scored: mean cross-entropy, and the scores of the labels they got."""

    loss: float
    scores: Scores


def score(
    classifier: PromptedClassifier,
    trunk: nn.Module,
    rows: Sequence[Row],
    ids: Sequence[list[int]],
    labels: tuple[str, ...],
) -> Result:
    """Score labelled rows, given as token ids; `trunk` is the float32 one, so that the figures are those of serving."""
    logits = classifier.score(trunk, ids).astype(np.float64)
    gold = np.array([labels.index(row.label) for row in rows])
    peak = logits.max(axis=1)
    log_total = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    loss = float(np.mean(log_total - logits[np.arange(len(rows)), gold]))
    predicted = tuple(labels[i] for i in logits.argmax(axis=1))
    return Result(loss, Scores(labels, tuple(row.label for row in rows), predicted))


# Data


@dataclass(frozen=True)
class Data:
    """The rows to learn from, to choose the best prompt by, and to report; and what they are known by."""

    train: list[Row]
    dev: list[Row]
    test: list[Row]
    labels: tuple[str, ...]
    identity: dict[str, Any]
    shared_texts: int  # test rows whose texts are in train too


@dataclass(frozen=True)
class Tokens:
    """The token ids of each row of `Data`, and how many texts were cut."""

    train: list[list[int]]
    dev: list[list[int]]
    test: list[list[int]]
    cut: int


def read_data(config: TrainConfig) -> Data:
    """Read and split the files that `config` names; every row of dev and test must have a label of train's."""
    fields = Template(config.template).fields if config.template else None
    rows = read_rows(config.data, fields)
    labels = labels_of(rows, config.data)
    fields = fields or (PAIR if len(rows[0].texts) == 2 else ("text",))
    if config.dev is None:
        train, dev = split_dev(rows, config.dev_fraction)
        if not dev:
            raise SoftcallError(
                f"{config.data} has too few rows ({len(rows)}) to carve a dev set out; give one with --dev"
            )
    else:
        train, dev = rows, read_rows(config.dev, fields)
        _only(labels, dev, config.dev)
    test = read_rows(config.test, fields) if config.test else []
    _only(labels, test, config.test)
    unknown = sorted(set(config.verbalizers) - set(labels))
    if unknown:
        raise SoftcallError(
            f"--verbalizer for {unknown[0]!r}, which is no label of {config.data}; labels are {', '.join(labels[:20])}"
        )
    identity = {"data_sha256": file_sha256(config.data), "dev_fraction": config.dev_fraction}
    if config.dev is not None:
        identity = {"data_sha256": file_sha256(config.data), "dev_sha256": file_sha256(config.dev)}
    seen = {row.texts for row in train}
    return Data(train, dev, test, labels, identity, sum(row.texts in seen for row in test))


def encode_data(data: Data, template: Template, base: LoadedBase, config: TrainConfig) -> Tokens:
    """Token ids of every row, cut to `config.max_text_tokens` where need be."""
    positions = base.model.config.max_position_embeddings
    if config.tokens + config.max_text_tokens > positions:
        raise SoftcallError(
            f"--tokens {config.tokens} and --max-text-tokens {config.max_text_tokens} are more than the {positions} positions of {base.name}"
        )
    cut = 0

    def encode(rows: list[Row]) -> list[list[int]]:
        nonlocal cut
        encoded = []
        for row in rows:
            ids = template.encode(base.tokenizer, row.texts)
            if len(ids) > config.max_text_tokens:
                ids = template.encode(base.tokenizer, row.texts, config.max_text_tokens, truncate=True)
                cut += 1
            encoded.append(ids)
        return encoded

    return Tokens(encode(data.train), encode(data.dev), encode(data.test), cut)


def _only(labels: tuple[str, ...], rows: Sequence[Row], path: Path | None) -> None:
    for row in rows:
        if row.label not in labels:
            raise SoftcallError(
                f"{path} line {row.line}: label {row.label!r} does not occur in the training data"
            )


def _default_template(rows: Sequence[Row]) -> str:
    return "{text1}\n{text2}\nLabel:" if len(rows[0].texts) == 2 else "{text}\nLabel:"


# Where the prompt and the label head start


def first_classifier(config: TrainConfig, base: LoadedBase, verbalizers: Sequence[str]) -> PromptedClassifier:
    """The prompt by `config.init`, the label head of the verbalizers, a bias of zeros."""
    inputs, outputs = base.model.get_input_embeddings(), base.model.get_output_embeddings()
    prompt = initial_prompt(
        config.init,
        config.tokens,
        _rows_of(inputs),
        base.tokenizer,
        init_text=_init_text(config, verbalizers),
        verbalizers=verbalizers,
        seed=config.seed,
    )
    head = verbalizer_head(_rows_of(outputs), base.tokenizer, verbalizers)
    return PromptedClassifier(
        prompt, head, np.zeros(len(head), np.float32), train_head=config.head == Head.TRAINED
    )


def _rows_of(embedding: nn.Module) -> Any:
    def rows(ids: Sequence[int]) -> np.ndarray:
        return embedding.weight[torch.as_tensor(ids, device=embedding.weight.device)].detach().cpu().numpy()

    return rows


def _init_text(config: TrainConfig, verbalizers: Sequence[str]) -> str:
    return config.init_text if config.init_text is not None else default_init_text(verbalizers)


# Surroundings


@contextmanager
def deterministic() -> Iterator[None]:
    """Kernels whose sums have one order, so that the same command gives the same prompt (on one kind of device)."""
    # cuBLAS reads this when it is first used: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        # The other kernels for attention add their gradients in any order.
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _announce(
    console: Console,
    config: TrainConfig,
    data: Data,
    base: LoadedBase,
    template: Template,
    tokens: Tokens,
    device: torch.device,
    folder: Path,
) -> None:
    """Say what was picked, so that defaults are no secret."""
    longest = max(len(ids) for ids in tokens.train)
    init = f"init {config.init.value}"
    if config.init == PromptInit.TEXT:
        init += f" {_init_text(config, [default_verbalizer(label) for label in data.labels])[:60]!r}"
    lines = [
        f"base      {base.name} on {_device_name(device)}, {config.dtype.value} for the steps, float32 for scores",
        f"data      {len(data.train):,} rows to train on, {len(data.dev):,} dev, {len(data.test):,} test; {len(data.labels)} labels",
        f"texts     template {template.source!r}; at most {longest} tokens, {tokens.cut:,} cut to {config.max_text_tokens}",
        f"prompt    {config.tokens} tokens, {init}; {config.head.value} label head",
        f"steps     {config.steps:,} of {config.batch_size} rows; learning rate {config.learning_rate:g}"
        + (f" (head {config.head_learning_rate:g})" if config.head == Head.TRAINED else "")
        + f", {config.warmup_steps} to warm up, cosine; seed {config.seed}",
        f"run       {folder}",
    ]
    if data.shared_texts:
        lines.append(
            f"warning   {data.shared_texts} of the test rows have a text that is in the training rows too"
        )
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"


def _metrics(name: str, result: Result) -> dict[str, float]:
    return {
        f"{name}_accuracy": result.scores.accuracy,
        f"{name}_macro_f1": result.scores.macro_f1,
        f"{name}_loss": result.loss,
    }


def _provenance(config: TrainConfig, data: Data, state: RunState, device: torch.device) -> dict[str, Any]:
    """How the prompt was trained, for people; nothing in it differs between two runs of one command."""
    import transformers

    files = {"test_sha256": file_sha256(config.test)} if config.test else {}
    return (
        data.identity | files | config.identity()
        | {"train_rows": len(data.train), "best_step": state.best_step, "last_step": state.step, "device": _device_name(device)}
        | {"versions": {"softcall": __version__, "torch": torch.__version__, "transformers": transformers.__version__}}
    )  # fmt: skip


def _not_finite(
    config: TrainConfig, state: RunState, step: int, loss: float, norm: float, folder: Path
) -> str:
    kept = f"the checkpoint of step {state.step} (best dev accuracy {state.best_accuracy:.4f}) is kept in {folder}"
    return (
        f"step {step}: the loss is {loss:g} and the gradient's norm {norm:g}; training stops here. "
        f"{kept if state.step else 'No checkpoint had been written yet'}. "
        f"Try a lower --learning-rate (now {config.learning_rate:g})"
        + (
            f" or --head-learning-rate (now {config.head_learning_rate:g})"
            if config.head == Head.TRAINED
            else ""
        )
        + (" or --dtype float32" if config.dtype != Precision.FLOAT32 else "")
    )


def _write(path: Path, data: bytes) -> None:
    """All of the file or nothing of it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as draft:
        draft.write(data)
    draft_path = Path(draft.name)
    draft_path.chmod(0o644)
    draft_path.replace(path)
