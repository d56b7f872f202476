"""The training loop: candidates learn side by side in one run of the base, and the worse ones are dropped.

A single run is a sweep of one. Candidates share nothing but the base: each has its own optimizer, and learns
what it would learn alone (to rounding).
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.tensorboard import SummaryWriter

from softcall import sweep, train_checkpoint
from softcall.classifier import PromptedClassifier, label_logits, pad_right
from softcall.errors import SoftcallError
from softcall.scores import Scores
from softcall.sweep import Candidate
from softcall.temperature import confidences, cross_entropy
from softcall.train_batches import LengthBuckets
from softcall.train_checkpoint import LearnerState, RunState
from softcall.train_config import Head, Precision, TrainConfig
from softcall.train_data import Examples
from softcall.train_progress import TrainingProgress

LOG_EVERY = 10  # steps between two points of a curve
# Tokens (rows x longest row) that run at once: candidates beyond it run one after the other.
STEP_TOKENS = {"cpu": 8_192, "cuda": 32_768}


class Learner:
    """One candidate in training: what it learns (prompt, head, or a trunk's weights), and its optimizer."""

    def __init__(
        self,
        config: TrainConfig,
        candidate: Candidate,
        classifier: PromptedClassifier,
        trunk: nn.Module | None = None,
    ) -> None:
        """A `trunk` is of this learner alone: its parameters that require gradients are learnt too."""
        self.candidate, self.classifier, self.state = candidate, classifier, LearnerState()
        rates = {"prompt": candidate.learning_rate}
        if config.head == Head.TRAINED:
            rates |= {"label_head": config.head_learning_rate, "label_bias": config.head_learning_rate}
        self.learnt = {name: getattr(classifier, name) for name in rates}
        for name, parameter in trunk.named_parameters() if trunk is not None else ():
            if parameter.requires_grad:
                self.learnt["trunk." + name] = parameter
        self.learnt = {name: parameter for name, parameter in self.learnt.items() if parameter.numel()}
        groups: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.learnt.items():
            groups.setdefault(rates.get(name, candidate.learning_rate), []).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [{"params": parameters, "peak": rate} for rate, parameters in groups.items()],
            lr=0.0,
            weight_decay=config.weight_decay,
        )

    def take(self, state: LearnerState) -> None:
        """Go on from a stored state."""
        self.state = state
        self.restore(state.learnt)
        self.optimizer.load_state_dict(state.optimizer)

    @torch.no_grad()
    def restore(self, learnt: dict[str, Tensor]) -> None:
        """Take these values in place of what was learnt."""
        for name, parameter in self.learnt.items():
            parameter.copy_(learnt[name])

    def set_rate(self, share: float) -> None:
        """The learning rates of the next step, as a share of their peaks."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share

    def advance(self, step: int, accuracy: float, loss: float) -> bool:
        """Take over what `step` reached on dev; whether it is the best so far."""
        state = self.state
        better = (accuracy, -loss) > (state.best_accuracy, -state.best_loss)
        if better:
            state.best_step, state.best_accuracy, state.best_loss = step, accuracy, loss
            state.best = {name: value.detach().cpu().clone() for name, value in self.learnt.items()}
        state.stale = 0 if better else state.stale + 1
        state.steps = step
        state.evaluations.append((step, accuracy, loss))
        self.keep()
        return better

    def keep(self) -> None:
        """Note what is learnt as it stands, for the next checkpoint."""
        self.state.learnt = {name: value.detach() for name, value in self.learnt.items()}
        self.state.optimizer = self.optimizer.state_dict()

    def drop(self, step: int, reason: str) -> None:
        """Learn no more after `step`, and let go of the optimizer's memory."""
        self.state.steps, self.state.dropped = step, reason
        self.state.learnt = {name: value.detach().cpu().clone() for name, value in self.learnt.items()}
        self.state.optimizer = {}
        self.optimizer = None


@dataclass(frozen=True)
class Run:
    """What the learners of a run have in common.

    `trunk` takes the steps; `exact`, the same weights in float32, scores dev. `folder` keeps checkpoints and
    curves; without one, a run that is cut off is lost. With `halving` the worse learners are dropped on the
    way; without, all of them go to the end.
    """

    config: TrainConfig
    trunk: nn.Module
    exact: nn.Module
    train: Examples
    dev: Examples
    labels: tuple[str, ...]
    folder: Path | None
    identity: dict[str, Any]
    console: Console
    halving: bool = True

    @cached_property
    def class_weights(self) -> Tensor | None:
        """Weights [labels] by which every label counts the same, whatever its rows; None: rows count."""
        if not self.config.class_balanced:
            return None
        counts = np.bincount(self.train.answers, minlength=len(self.labels))
        weights = len(self.train.answers) / (len(self.labels) * np.maximum(counts, 1))
        return torch.from_numpy(weights).float().to(next(self.exact.parameters()).device)


def fit(run: Run, learners: Sequence[Learner]) -> list[Learner]:
    """The loop: from the folder's checkpoint, or from the start, to the last step or the early stop.

    Returns the learners that reached the end, the best on dev first, each with what it had learnt when it
    was best.
    """
    config = run.config
    state = _resumed(run, learners)
    batches = {
        seed: LengthBuckets(run.train.lengths, config.batch_size, seed)
        for seed in sorted({learner.candidate.seed for learner in learners})
    }
    halvings = sweep.halvings(len(learners), config.steps) if run.halving else {}
    going = [learner for learner in learners if not learner.state.dropped]

    with (
        boards(run.folder, len(learners), state.step) as writers,
        TrainingProgress(run.console, config.steps, state.step) as progress,
    ):
        board = dict(zip(learners, writers, strict=True))
        for step in range(state.step + 1, config.steps + 1):
            if len(going) == 1 and config.patience and (stale := going[0].state.stale) >= config.patience:
                progress.line(state.step, f"stopped early: {stale} evaluations without a better one")
                break
            share = learning_rate_share(step, config.warmup_steps, config.steps)
            rows = [batches[learner.candidate.seed].batch(step - 1) for learner in going]
            measured = take_step(run, going, rows, share)
            going = [
                learner for learner in going if _is_finite(run, learner, len(going), state, step, measured)
            ]
            if not going:
                raise SoftcallError(_not_finite(run, learners[0], state, step, (math.nan, math.nan)))
            for learner in going:
                learner.optimizer.step()

            progress.step(step, min(measured[learner][0] for learner in going))
            if step % LOG_EVERY == 0:
                for learner in going:
                    learner.state.curve.append((step, *measured[learner]))
                    log_step(board[learner], learner, step, *measured[learner], share)
            if step % config.eval_every == 0 or step in halvings or step == config.steps:
                _evaluate(run, going, board, progress, step, measured)
                going = _halve(going, halvings.get(step, len(going)), progress, step)
                state.step = step
                if run.folder:
                    train_checkpoint.save(run.folder, run.identity, state)
    for learner in going:
        learner.restore(learner.state.best)
    return [going[i] for i in sweep.ranking(_reached(going))]


def take_step(
    run: Run, learners: Sequence[Learner], rows: Sequence[np.ndarray], share: float
) -> dict[Learner, tuple[float, float]]:
    """Leave in each learner the clipped gradients of its rows; (loss, norm of the gradient) of each."""
    config, device = run.config, learners[0].classifier.prompt.device
    losses, norms = [], []
    for part in _parts(run, learners, rows, STEP_TOKENS[device.type]):
        seeds = [learners[i].candidate.seed for i in part]
        batches = {  # candidates of one seed see the same rows
            seed: (
                pad_right([run.train.ids[row] for row in rows[i]], device),
                torch.from_numpy(run.train.answers[rows[i]]).to(device, non_blocking=True),
            )
            for seed, i in zip(seeds, part, strict=True)
        }
        classifiers = [learners[i].classifier for i in part]
        with torch.autocast(
            device.type, torch.bfloat16, enabled=config.dtype == Precision.BFLOAT16, cache_enabled=False
        ):
            logits = label_logits(run.trunk, classifiers, [batches[seed][0] for seed in seeds])
        losses += [
            functional.cross_entropy(
                scored, batches[seed][1], run.class_weights, label_smoothing=config.label_smoothing
            )
            for scored, seed in zip(logits, seeds, strict=True)
        ]
        for i in part:
            learners[i].set_rate(share)
            learners[i].optimizer.zero_grad(set_to_none=True)
        torch.stack(losses[-len(part) :]).sum().backward()  # no learner's loss reaches another's parameters
    for learner in learners:
        norms.append(nn.utils.clip_grad_norm_(learner.learnt.values(), config.clip_norm))
    measured = torch.stack([torch.stack(losses).detach(), torch.stack(norms)], dim=1)
    return dict(zip(learners, map(tuple, measured.tolist()), strict=True))  # the step's one wait


def _parts(
    run: Run, learners: Sequence[Learner], rows: Sequence[np.ndarray], limit: int
) -> Iterator[list[int]]:
    """Indices of learners whose rows fit into one run of the trunk, at least one at a time."""
    part: list[int] = []
    count = longest = 0
    for i, learner in enumerate(learners):
        length = len(learner.classifier.prompt) + max(len(run.train.ids[row]) for row in rows[i])
        if part and (count + len(rows[i])) * max(longest, length) > limit:
            yield part
            part, count, longest = [], 0, 0
        part.append(i)
        count, longest = count + len(rows[i]), max(longest, length)
    yield part


def learning_rate_share(step: int, warmup: int, steps: int) -> float:
    """The share of the peak at `step` (1 to `steps`): a line up over `warmup`, then a cosine down to zero."""
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup + 1)))


def _resumed(run: Run, learners: Sequence[Learner]) -> RunState:
    """The run's state, whose learners' states are those of `learners`."""
    state = train_checkpoint.load(run.folder, run.identity) if run.folder else None
    if state is None:
        return RunState(0, [learner.state for learner in learners])
    for learner, stored in zip(learners, state.learners, strict=True):
        if stored.dropped:
            learner.state, learner.optimizer = stored, None
        else:
            learner.take(stored)
    run.console.print(f"going on from step {state.step}, found in {run.folder}", **PLAIN)
    return state


def _evaluate(
    run: Run,
    going: Sequence[Learner],
    board: dict[Learner, SummaryWriter | None],
    progress: TrainingProgress,
    step: int,
    measured: dict[Learner, tuple[float, float]],
) -> None:
    for learner in going:
        dev = score(learner.classifier, run.exact, run.dev, run.labels)
        if writer := board[learner]:
            for name, value in dev.metrics.items():
                writer.add_scalar(f"dev/{name}", value, step)
            writer.flush()
        better = learner.advance(step, dev.scores.accuracy, dev.loss)
        if len(going) == 1:
            loss = measured[learner][0]
            progress.line(step, f"loss {loss:.3f}  dev: {dev.told}{'  best so far' if better else ''}")
    if len(going) > 1:
        accuracies = [learner.state.evaluations[-1][1] for learner in going]
        progress.line(
            step,
            f"{len(going)} candidates  dev: accuracy {min(accuracies):.4f} to {max(accuracies):.4f}",
        )


def _halve(going: list[Learner], count: int, progress: TrainingProgress, step: int) -> list[Learner]:
    """The `count` best by dev; the others are dropped."""
    kept = sweep.ranking(_reached(going))[:count]
    if len(kept) < len(going):
        progress.line(step, f"the best {len(kept)} of {len(going)} candidates go on")
    for i, learner in enumerate(going):
        if i not in kept:
            learner.drop(step, "behind others")
    return [learner for i, learner in enumerate(going) if i in kept]


def _reached(learners: Sequence[Learner]) -> list[tuple[float, float]]:
    return [(learner.state.best_accuracy, learner.state.best_loss) for learner in learners]


# What is told and kept

PLAIN = {"highlight": False, "markup": False, "soft_wrap": True}  # text as it is, whatever it holds


@contextmanager
def boards(folder: Path | None, learners: int, step: int) -> Iterator[list[SummaryWriter | None]]:
    """TensorBoard of each learner: the folder, or of a sweep a folder `candidate-N` in it."""
    if folder is None:
        yield [None] * learners
        return
    folders = [folder] if learners == 1 else [folder / f"candidate-{i + 1}" for i in range(learners)]
    with ExitStack() as stack:
        yield [stack.enter_context(SummaryWriter(str(each), purge_step=step + 1)) for each in folders]


def log_step(
    writer: SummaryWriter | None, learner: Learner, step: int, loss: float, norm: float, share: float
) -> None:
    """A point of the training's curves."""
    if writer is None:
        return
    prompt_norm = learner.classifier.prompt.detach().norm(dim=1).mean().item()
    writer.add_scalar("train/loss", loss, step)
    writer.add_scalar("train/gradient_norm", norm, step)
    writer.add_scalar("train/prompt_norm", prompt_norm, step)
    writer.add_scalar("train/learning_rate", learner.candidate.learning_rate * share, step)


@dataclass(frozen=True)
class Result:
    """Examples that were scored: logits [rows, labels], the right answers int [rows]."""

    labels: tuple[str, ...]
    logits: np.ndarray
    answers: np.ndarray
    temperature: float = 1.0

    @cached_property
    def scores(self) -> Scores:
        """The labels they got."""
        gold = tuple(self.labels[i] for i in self.answers)
        predicted = tuple(self.labels[i] for i in self.logits.argmax(axis=1))
        return Scores(self.labels, gold, predicted, tuple(self.confidence.tolist()))

    @property
    def confidence(self) -> np.ndarray:
        """The largest probability of each row, float64 [rows]."""
        return confidences(self.logits, self.temperature)

    @cached_property
    def loss(self) -> float:
        """Mean cross-entropy."""
        return cross_entropy(self.logits / self.temperature, self.answers)

    @property
    def metrics(self) -> dict[str, float]:
        """The figures that are kept."""
        scores = self.scores
        return {
            "accuracy": scores.accuracy,
            "macro_f1": scores.macro_f1,
            "loss": self.loss,
            "calibration_error": scores.calibration_error,
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
    logits = classifier.score(exact, examples.ids).astype(np.float64)
    return Result(labels, logits, examples.answers)


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
    # It would cost a kernel for each tensor, and none is read before it is written.
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        # The other kernels for attention add their gradients in any order.
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _is_finite(
    run: Run,
    learner: Learner,
    going: int,
    state: RunState,
    step: int,
    measured: dict[Learner, tuple[float, float]],
) -> bool:
    """Whether a learner's step can be taken; one among others is dropped where it cannot."""
    if all(map(math.isfinite, measured[learner])):
        return True
    if going == 1:
        raise SoftcallError(_not_finite(run, learner, state, step, measured[learner]))
    learner.drop(step, "loss or gradient not finite")
    return False


def _not_finite(run: Run, learner: Learner, state: RunState, step: int, measured: tuple[float, float]) -> str:
    config, (lost, norm) = run.config, measured
    best = f"best dev accuracy {learner.state.best_accuracy:.4f}"
    kept = f"The checkpoint of step {state.step} ({best}) is kept in {run.folder}."
    lower = f"a lower --learning-rate (now {learner.candidate.learning_rate:g})"
    if config.head == Head.TRAINED:
        lower += f" or --head-learning-rate (now {config.head_learning_rate:g})"
    if config.dtype != Precision.FLOAT32:
        lower += " or --dtype float32"
    return (
        f"step {step}: the loss is {lost:g} and the gradient's norm {norm:g}, so training stops."
        f" {kept if state.step and run.folder else 'No checkpoint had been written yet.'} Try {lower}"
    )
