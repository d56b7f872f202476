"""The training loop: candidates learn side by side in one run of the base, and the worse ones are dropped.

A single run is a sweep of one. Candidates share nothing but the base: each has its own optimizer, and learns
what it would learn alone (to rounding). Processes that Accelerate started share the rows of each step; what
travels between them are the losses and the gradients of what is learnt.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object, reduce
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from softcall.core.errors import SoftcallError
from softcall.evaluation.classifier import PromptedClassifier, label_logits, pad_right
from softcall.evaluation.scores import Scores
from softcall.evaluation.temperature import confidences, cross_entropy, fit_temperature
from softcall.training.loop import checkpoint, gradient_alarm
from softcall.training.loop.batches import Batch, TrainBatches
from softcall.training.loop.checkpoint import LearnerState, RunState
from softcall.training.loop.curves import Curves
from softcall.training.loop.progress import TrainingProgress
from softcall.training.rows import Examples
from softcall.training.settings import sweep
from softcall.training.settings.config import Head, Precision, TrainConfig
from softcall.training.settings.sweep import Candidate, Standing

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
            fused=classifier.prompt.is_cuda,
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
    curves; without one, a run that is cut off is lost. Of several processes only the main one has it. With
    `halving` the worse learners are dropped on the way; without, all of them go to the end.
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
        seed: TrainBatches(run.train.ids, config.batch_size, config.token_dropout, seed)
        for seed in sorted({learner.candidate.seed for learner in learners})
    }
    halvings = sweep.halvings(len(learners), config.steps) if run.halving else {}
    going = [learner for learner in learners if not learner.state.dropped]

    with (
        Curves(run.folder, config.report_to, run.identity, len(learners), state.step) as curves,
        TrainingProgress(run.console, config.steps, state.step) as progress,
    ):
        number = {learner: i for i, learner in enumerate(learners)}
        for step in range(state.step + 1, config.steps + 1):
            if reason := _nothing_to_gain(run, going):
                progress.line(state.step, f"stopped early: {reason}")
                break
            share = learning_rate_share(step, config.warmup_steps, config.steps)
            measured = take_step(
                run, going, [batches[learner.candidate.seed].batch(step - 1) for learner in going], share
            )
            going = _sound(run, going, state, step, measured, progress)
            for learner in going:
                learner.optimizer.step()

            progress.step(step, min(measured[learner][0] for learner in going))
            if step % LOG_EVERY == 0:
                for learner in going:
                    learner.state.curve.append((step, *measured[learner]))
                    curves.trained(number[learner], step, told_of_step(learner, *measured[learner], share))
            due = step % config.eval_every == 0 or step in halvings or step == config.steps
            if due or all(gradient_alarm.vanished(learner.state.norms) for learner in going):
                scored = _evaluate(run, going, progress, step, measured)
                for learner, dev in scored.items():
                    curves.scored(number[learner], step, dev.metrics)
                going = _halve(scored, halvings.get(step, len(going)), progress, step)
                state.step = step
                if run.folder:
                    checkpoint.save(run.folder, run.identity, state)
    for learner in going:
        learner.restore(learner.state.best)
    reached = [(learner.state.best_accuracy, learner.state.best_loss) for learner in going]
    return [going[i] for i in sweep.ranking(reached)]


def require_all(learners: Sequence[Learner], where: str) -> None:
    """Refuse to go on where one of `learners`, which learnt side by side, was dropped in the run `where`."""
    for learner in learners:
        if learner.state.dropped:
            raise SoftcallError(
                f"{where} seed {learner.candidate.seed}: stopped after step {learner.state.steps},"
                f" {learner.state.dropped}; try a lower --learning-rate"
                f" (now {learner.candidate.learning_rate:g})"
            )


def take_step(
    run: Run, learners: Sequence[Learner], batches: Sequence[Batch], share: float
) -> dict[Learner, tuple[float, float]]:
    """Leave in each learner the clipped gradients of its batch; (loss, norm of the gradient) of each."""
    config, device = run.config, learners[0].classifier.prompt.device
    mine = [batch.part(_share()) for batch in batches]
    losses = torch.zeros(len(learners), device=device)
    for learner in learners:
        learner.set_rate(share)
        learner.optimizer.zero_grad(set_to_none=True)
    for part in _parts(learners, mine, STEP_TOKENS[device.type]):
        seeds = [learners[i].candidate.seed for i in part]
        inputs = {  # candidates of one seed see the same rows
            seed: (
                pad_right(mine[i].ids, device),
                torch.from_numpy(run.train.answers[mine[i].rows]).to(device, non_blocking=True),
            )
            for seed, i in zip(seeds, part, strict=True)
        }
        classifiers = [learners[i].classifier for i in part]
        with torch.autocast(
            device.type, torch.bfloat16, enabled=config.dtype == Precision.BFLOAT16, cache_enabled=False
        ):
            logits = _logits(run, classifiers, [inputs[seed][0] for seed in seeds])
        computed = torch.stack(
            [
                _loss(run, scored, inputs[seed][1], batches[i].rows)
                for scored, seed, i in zip(logits, seeds, part, strict=True)
            ]
        )
        computed.sum().backward()  # no learner's loss reaches another's parameters
        losses[part] = computed.detach()
    if PartialState().num_processes > 1:
        _add_up([losses], [parameter for learner in learners for parameter in learner.learnt.values()])
    norms = [nn.utils.clip_grad_norm_(learner.learnt.values(), config.clip_norm) for learner in learners]
    measured = torch.stack([losses, torch.stack(norms)], dim=1)
    return dict(zip(learners, map(tuple, measured.tolist()), strict=True))  # the step's one wait


def _share(process: int | None = None) -> slice:
    """The rows that a process computes, by default this one: neighbours in length go to different ones."""
    processes = PartialState()
    return slice(processes.process_index if process is None else process, None, processes.num_processes)


def _logits(
    run: Run, classifiers: Sequence[PromptedClassifier], batches: Sequence[tuple[Tensor, Tensor]]
) -> list[Tensor]:
    """Label logits [rows, labels] of each classifier for its batch.

    A CPU has as much to do as there are tokens, so there the prompt runs once for all rows (three quarters
    of the time of a prompt in every row). A GPU waits for its kernels to start, so there all is one run. So
    it is for layers that are compiled, and for those that compute activations anew and can keep nothing.
    """
    together = run.config.compiled or run.config.gradient_checkpointing
    if classifiers[0].prompt.device.type == "cpu" and not together:
        return [classifier(run.trunk, *batch) for classifier, batch in zip(classifiers, batches, strict=True)]
    return label_logits(run.trunk, classifiers, batches)


def _loss(run: Run, logits: Tensor, answers: Tensor, rows: np.ndarray) -> Tensor:
    """What this process's `logits` [rows, labels] add to the mean cross-entropy of the whole batch `rows`."""
    total = functional.cross_entropy(
        logits, answers, run.class_weights, label_smoothing=run.config.label_smoothing, reduction="sum"
    )
    if run.class_weights is None:
        return total / len(rows)
    return total / run.class_weights[torch.from_numpy(run.train.answers[rows]).to(logits.device)].sum()


def _add_up(losses: list[Tensor], parameters: Sequence[nn.Parameter]) -> None:
    """Replace losses and gradients by their sums over all processes, in one exchange."""
    for parameter in parameters:
        if parameter.grad is None:  # a batch had fewer rows than there are processes
            parameter.grad = torch.zeros_like(parameter)
    parts = [*losses, *(parameter.grad for parameter in parameters)]
    vector_to_parameters(reduce(parameters_to_vector(parts), "sum"), parts)


def _parts(learners: Sequence[Learner], batches: Sequence[Batch], limit: int) -> Iterator[list[int]]:
    """Indices of learners whose batches fit into one run of the trunk, at least one at a time."""
    part: list[int] = []
    count = longest = 0
    for i, (learner, batch) in enumerate(zip(learners, batches, strict=True)):
        if not batch.ids:
            continue
        length = len(learner.classifier.prompt) + batch.longest
        if part and (count + len(batch.ids)) * max(longest, length) > limit:
            yield part
            part, count, longest = [], 0, 0
        part.append(i)
        count, longest = count + len(batch.ids), max(longest, length)
    if part:
        yield part


def learning_rate_share(step: int, warmup: int, steps: int) -> float:
    """The share of the peak at `step` (1 to `steps`): a line up over `warmup`, then a cosine down to zero."""
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup + 1)))


def _resumed(run: Run, learners: Sequence[Learner]) -> RunState:
    """The run's state, whose learners' states are those of `learners`: in all processes the main one's."""
    state = checkpoint.load(run.folder, run.identity) if run.folder else None
    (state,) = broadcast_object_list([state])
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
    progress: TrainingProgress,
    step: int,
    measured: dict[Learner, tuple[float, float]],
) -> "dict[Learner, Result]":
    """Score dev with what each has learnt."""
    results = {learner: score(learner.classifier, run.exact, run.dev, run.labels) for learner in going}
    better = [learner.advance(step, dev.scores.accuracy, dev.loss) for learner, dev in results.items()]
    if len(going) == 1:
        loss, dev = measured[going[0]][0], results[going[0]]
        progress.line(step, f"loss {loss:.3f}  dev: {dev.told}{'  best so far' if better[0] else ''}")
    else:
        accuracies = [learner.state.evaluations[-1][1] for learner in going]
        progress.line(
            step,
            f"{len(going)} candidates  dev: accuracy {min(accuracies):.4f} to {max(accuracies):.4f}",
        )
    return results


def _halve(
    scored: "dict[Learner, Result]", count: int, progress: TrainingProgress, step: int
) -> list[Learner]:
    """The `count` that did best on dev; the others are dropped."""
    going = list(scored)
    if count >= len(going):
        return going
    progress.line(step, f"the best {count} of {len(going)} candidates go on")
    standings = [
        Standing(learner.state.best_accuracy, learner.state.best_loss, dev.calibrated.loss)
        for learner, dev in scored.items()
    ]
    answers = scored[going[0]].answers
    kept = sweep.going_on(standings, np.bincount(answers).max() / len(answers), len(answers), count)
    for i, learner in enumerate(going):
        if i not in kept:
            learner.drop(step, "behind others")
    return [going[i] for i in kept]


# What is told and kept

PLAIN = {"highlight": False, "markup": False, "soft_wrap": True}  # text as it is, whatever it holds


def told_of_step(learner: Learner, loss: float, norm: float, share: float) -> dict[str, float]:
    """A point of the training's curves."""
    return {
        "loss": loss,
        "gradient_norm": norm,
        "prompt_norm": learner.classifier.prompt.detach().norm(dim=1).mean().item(),
        "learning_rate": learner.candidate.learning_rate * share,
    }


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
    def calibrated(self) -> Self:
        """With the temperature that fits these answers."""
        return replace(self, temperature=fit_temperature(self.logits, self.answers))

    def beside(self, other: Self) -> Self:
        """These rows and others', of the same labels."""
        logits = np.concatenate([self.logits, other.logits])
        return replace(self, logits=logits, answers=np.concatenate([self.answers, other.answers]))

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
    """Score examples with the float32 trunk, so that the figures are those of serving.

    Each process scores its share, and all get the whole.
    """
    parts = gather_object([classifier.score(exact, examples.ids[_share()])])
    logits = np.empty((len(examples.ids), len(labels)), np.float64)
    for process, part in enumerate(parts):
        logits[_share(process)] = part
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


# What ends a run


def _nothing_to_gain(run: Run, going: Sequence[Learner]) -> str:
    """Why further steps would not find a better prompt; empty where they may."""
    if all(gradient_alarm.vanished(learner.state.norms) for learner in going):
        norm = max(learner.state.norms[-1] for learner in going)
        return f"gradients have vanished, to a norm of {norm:.1g} over the last {gradient_alarm.WINDOW} steps"
    patience, stale = run.config.patience, going[0].state.stale
    if len(going) == 1 and patience and stale >= patience:
        return f"{stale} evaluations without a better one"
    return ""


def _sound(
    run: Run,
    going: Sequence[Learner],
    state: RunState,
    step: int,
    measured: dict[Learner, tuple[float, float]],
    progress: TrainingProgress,
) -> list[Learner]:
    """The learners whose step can be taken; the others are dropped, and the last one's fault is raised."""
    sound = []
    for learner in going:
        loss, norm = measured[learner]
        fault = ""
        if not math.isfinite(loss) or not math.isfinite(norm):
            fault = "loss or gradient not finite"
        else:
            learner.state.norms = gradient_alarm.window(learner.state.norms, norm)
            exploding = gradient_alarm.exploding_steps(learner.state.norms, run.config.clip_norm)
            if exploding >= gradient_alarm.EXPLODING_STEPS:
                fault = f"gradient exploding for {exploding} steps"
            elif exploding == 1:
                progress.line(
                    step,
                    f"warning: the gradient's norm jumped to {norm:.3g}, clipped to {run.config.clip_norm:g}",
                )
        if not fault:
            sound.append(learner)
        elif len(going) > 1:
            learner.drop(step, fault)
    if not sound:
        raise SoftcallError(_told_fault(run, going[0], state, step, fault, measured[going[0]]))
    return sound


def _told_fault(
    run: Run, learner: Learner, state: RunState, step: int, fault: str, measured: tuple[float, float]
) -> str:
    config, (lost, norm) = run.config, measured
    best = f"best dev accuracy {learner.state.best_accuracy:.4f}"
    kept = f"The checkpoint of step {state.step} ({best}) is kept in {run.folder}."
    lower = f"a lower --learning-rate (now {learner.candidate.learning_rate:g})"
    if config.head == Head.TRAINED:
        lower += f" or --head-learning-rate (now {config.head_learning_rate:g})"
    if config.dtype != Precision.FLOAT32:
        lower += " or --dtype float32"
    return (
        f"step {step}: {fault}: the loss is {lost:g} and the gradient's norm {norm:g}, so training stops."
        f" {kept if state.step and run.folder else 'No checkpoint had been written yet.'} Try {lower}"
    )
