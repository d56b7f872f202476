"""The training loop: candidates learn side by side in shared trunk runs, and the worse ones are dropped.

A single run is a sweep of one candidate. Candidates share only the base: each has its own optimizer, and
learns what it would learn alone (to rounding). Processes that Accelerate started share the rows of each step;
they exchange losses and gradients.
"""

from collections.abc import Sequence

from accelerate.utils import broadcast_object_list

from softcall.artifact.metadata import PromptType
from softcall.core.console import print_plain
from softcall.training.inputs.batches import TrainBatches
from softcall.training.loop import checkpoint, gradient_alarm
from softcall.training.loop.checkpoint import RunState
from softcall.training.loop.curves import Curves
from softcall.training.loop.faults import nothing_to_gain, sound_learners
from softcall.training.loop.learner import Learner
from softcall.training.loop.progress import TrainingProgress
from softcall.training.loop.run import Run
from softcall.training.loop.scoring import Result, score
from softcall.training.loop.step import learning_rate_share, take_step
from softcall.training.settings import sweep
from softcall.training.settings.sweep import Standing

LOG_EVERY = 10  # steps between two points of a curve


def fit(run: Run, learners: Sequence[Learner]) -> list[Learner]:
    """Run the loop from the checkpoint, or from the start, to the last step or the early stop.

    Returns the learners that reached the end, the best on dev first, each with the values of its best step.
    """
    config = run.config
    state = _resumed(run, learners)
    batches = {
        seed: TrainBatches(run.train.ids, config.batch_size, config.token_dropout, seed)
        for seed in sorted({learner.candidate.seed for learner in learners})
    }
    halvings = {}
    if run.halving:
        halvings = sweep.halvings_by_type([learner.candidate for learner in learners], config.steps)
    going = [learner for learner in learners if not learner.state.dropped]

    with (
        Curves(run.folder, config.report_to, run.identity, len(learners), state.step) as curves,
        TrainingProgress(run.console, config.steps, state.step) as progress,
    ):
        number = {learner: i for i, learner in enumerate(learners)}
        for step in range(state.step + 1, config.steps + 1):
            if reason := nothing_to_gain(run, going):
                progress.line(state.step, f"stopped early: {reason}")
                break
            share = learning_rate_share(step, config.warmup_steps, config.steps)
            measured = take_step(
                run, going, [batches[learner.candidate.seed].batch(step - 1) for learner in going], share
            )
            going = sound_learners(run, going, state, step, measured, progress)
            for learner in going:
                learner.optimizer.step()

            progress.step(step, min(measured[learner][0] for learner in going))
            if step % LOG_EVERY == 0:
                for learner in going:
                    learner.state.curve.append((step, *measured[learner]))
                    curves.trained(number[learner], step, _point(learner, *measured[learner], share))
            due = step % config.eval_every == 0 or step in halvings or step == config.steps
            if due or all(gradient_alarm.vanished(learner.state.norms) for learner in going):
                scored = _evaluate(run, going, progress, step, measured)
                for learner, dev in scored.items():
                    curves.scored(number[learner], step, dev.metrics)
                for prompt, count in halvings.get(step, {}).items():
                    going = _halve(going, scored, prompt, count, progress, step)
                state.step = step
                if run.folder:
                    checkpoint.save(run.folder, run.identity, state)
    for learner in going:
        learner.restore(learner.state.best)
    reached = [(learner.state.best_accuracy, learner.state.best_loss) for learner in going]
    return [going[i] for i in sweep.ranking(reached)]


def _resumed(run: Run, learners: Sequence[Learner]) -> RunState:
    """Return the run's state, which owns the states of `learners`; all processes get the main process's."""
    state = checkpoint.load(run.folder, run.identity) if run.folder else None
    (state,) = broadcast_object_list([state])
    if state is None:
        return RunState(0, [learner.state for learner in learners])
    for learner, stored in zip(learners, state.learners, strict=True):
        if stored.dropped:
            learner.state, learner.optimizer = stored, None
        else:
            learner.take(stored)
    print_plain(run.console, f"going on from step {state.step}, found in {run.folder}")
    return state


def _evaluate(
    run: Run,
    going: Sequence[Learner],
    progress: TrainingProgress,
    step: int,
    measured: dict[Learner, tuple[float, float]],
) -> dict[Learner, Result]:
    """Score dev with each learner."""
    results = {learner: score(learner.classifier, run.exact, run.dev, run.labels) for learner in going}
    better = [learner.advance(step, dev.quality, dev.loss) for learner, dev in results.items()]
    if len(going) == 1:
        loss, dev = measured[going[0]][0], results[going[0]]
        progress.line(step, f"loss {loss:.3f}  dev: {dev.told}{'  best so far' if better[0] else ''}")
    else:
        reached = [dev.quality for dev in results.values()]
        name = results[going[0]].quality_told
        progress.line(step, f"{len(going)} candidates  dev: {name} {min(reached):.4f} to {max(reached):.4f}")
    return results


def _halve(
    going: Sequence[Learner],
    scored: dict[Learner, Result],
    prompt: PromptType,
    count: int,
    progress: TrainingProgress,
    step: int,
) -> list[Learner]:
    """Keep the `count` learners with this type of prompt that did best on dev, and drop the others of it."""
    halved = [learner for learner in going if learner.candidate.prompt == prompt]
    if count >= len(halved):
        return list(going)
    progress.line(step, f"the best {count} of {len(halved)} {prompt} prompts go on")
    standings = [
        Standing(learner.state.best_accuracy, learner.state.best_loss, scored[learner].calibrated.loss)
        for learner in halved
    ]
    any_of_them = scored[halved[0]]
    kept = sweep.going_on(standings, any_of_them.chance, len(any_of_them.answers), count)
    behind = [learner for i, learner in enumerate(halved) if i not in kept]
    for learner in behind:
        learner.drop(step, "behind others")
    return [learner for learner in going if learner not in behind]


def _point(learner: Learner, loss: float, norm: float, share: float) -> dict[str, float]:
    """Return a point of the training curves."""
    return {
        "loss": loss,
        "gradient_norm": norm,
        "prompt_norm": learner.classifier.prompt.norm,
        "learning_rate": learner.candidate.learning_rate * share,
    }
