"""Faults of a run: vanishing, exploding and non-finite gradients, and which learners they end."""

import math
from collections.abc import Sequence

from softcall.core.errors import SoftcallError
from softcall.training.loop import gradient_alarm
from softcall.training.loop.checkpoint import RunState
from softcall.training.loop.learner import Learner
from softcall.training.loop.progress import TrainingProgress
from softcall.training.loop.run import Run
from softcall.training.settings.config import Head, Precision


def nothing_to_gain(run: Run, going: Sequence[Learner]) -> str:
    """Return why further steps are not worth taking; empty if they may be."""
    if all(gradient_alarm.vanished(learner.state.norms) for learner in going):
        norm = max(learner.state.norms[-1] for learner in going)
        return f"gradients have vanished, to a norm of {norm:.1g} over the last {gradient_alarm.WINDOW} steps"
    patience, stale = run.config.patience, going[0].state.stale
    if len(going) == 1 and patience and stale >= patience:
        return f"{stale} evaluations without a better one"
    return ""


def sound_learners(
    run: Run,
    going: Sequence[Learner],
    state: RunState,
    step: int,
    measured: dict[Learner, tuple[float, float]],
    progress: TrainingProgress,
) -> list[Learner]:
    """Return the learners whose step can be taken; drop the others, or raise the fault of the last one."""
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
        raise SoftcallError(_message(run, going[0], state, step, fault, measured[going[0]]))
    return sound


def _message(
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


def require_all(learners: Sequence[Learner], where: str) -> None:
    """Raise `SoftcallError` if one of `learners`, which learnt side by side in `where`, was dropped."""
    for learner in learners:
        if learner.state.dropped:
            raise SoftcallError(
                f"{where} seed {learner.candidate.seed}: stopped after step {learner.state.steps},"
                f" {learner.state.dropped}; try a lower --learning-rate"
                f" (now {learner.candidate.learning_rate:g})"
            )
