"""A training step: the loss of each learner's batch, and its clipped gradients."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from softcall.evaluation.classifier import PromptedClassifier, label_logits, pad_right
from softcall.training.compute.processes import rows_of_process, sum_over_processes
from softcall.training.inputs.batches import Batch
from softcall.training.inputs.prompt_dropout import kept_numbers
from softcall.training.loop.learner import Learner
from softcall.training.loop.run import Run
from softcall.training.settings.config import Precision

# Tokens (rows x longest row) of one trunk run; candidates that exceed them run one after the other.
STEP_TOKENS = {"cpu": 8_192, "cuda": 32_768}


def learning_rate_share(step: int, warmup: int, steps: int) -> float:
    """Return the share of the peak at `step` (1 to `steps`): linear warm-up, then cosine decay to zero."""
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup + 1)))


def take_step(
    run: Run, learners: Sequence[Learner], batches: Sequence[Batch], share: float
) -> dict[Learner, tuple[float, float]]:
    """Compute the clipped gradients of each learner's batch; return (loss, gradient norm) of each learner."""
    config, device = run.config, learners[0].classifier.device
    mine = [batch.part(rows_of_process()) for batch in batches]
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
        kept = [_kept(run, learners[i], batches[i].step) for i in part]
        with torch.autocast(
            device.type, torch.bfloat16, enabled=config.dtype == Precision.BFLOAT16, cache_enabled=False
        ):
            logits = _logits(
                run, [learners[i].classifier for i in part], [inputs[seed][0] for seed in seeds], kept
            )
        computed = torch.stack(
            [
                _loss(run, scored, inputs[seed][1], batches[i].rows)
                for scored, seed, i in zip(logits, seeds, part, strict=True)
            ]
        )
        computed.sum().backward()  # a learner's loss depends on its own parameters only
        losses[part] = computed.detach()
    sum_over_processes([losses], [parameter for learner in learners for parameter in learner.learnt.values()])
    norms = [nn.utils.clip_grad_norm_(learner.learnt.values(), config.clip_norm) for learner in learners]
    measured = torch.stack([losses, torch.stack(norms)], dim=1)
    return dict(zip(learners, map(tuple, measured.tolist()), strict=True))  # the step's only synchronisation


def _kept(run: Run, learner: Learner, step: int) -> Tensor | None:
    """Return the factors of prompt dropout, on the learner's device."""
    learnt = learner.classifier.prompt.learnt
    factors = kept_numbers(learnt.shape, run.config.prompt_dropout, learner.candidate.seed, step)
    return None if factors is None else factors.to(learnt.device, non_blocking=True)


def _logits(
    run: Run,
    classifiers: Sequence[PromptedClassifier],
    batches: Sequence[tuple[Tensor, Tensor]],
    kept: Sequence[Tensor | None],
) -> list[Tensor]:
    """Return label logits [rows, labels] of each classifier for its batch.

    The time on a CPU depends on the number of tokens, so the prompt is encoded once for all rows there, which
    takes three quarters of the time of a prompt in every row. A GPU waits for kernel launches, so one run
    computes everything there. Compiled layers need a single run as well, and so does gradient checkpointing,
    which cannot keep the prompt's prefix.
    """
    together = run.config.compiled or run.config.gradient_checkpointing
    if classifiers[0].device.type == "cpu" and not together:
        return [
            classifier(run.trunk, *batch, factors)
            for classifier, batch, factors in zip(classifiers, batches, kept, strict=True)
        ]
    return label_logits(run.trunk, classifiers, batches, kept)


def _loss(run: Run, logits: Tensor, answers: Tensor, rows: np.ndarray) -> Tensor:
    """Return the part of these `logits` [rows, labels] in the mean cross-entropy of the batch `rows`.

    Of rows with any number of labels it is the sum of the binary cross-entropies of all labels.
    """
    if answers.ndim == 2:
        smoothing = run.config.label_smoothing
        targets = answers.float() * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(
            logits, targets, pos_weight=run.class_weights, reduction="sum"
        ) / len(rows)
    total = functional.cross_entropy(
        logits, answers, run.class_weights, label_smoothing=run.config.label_smoothing, reduction="sum"
    )
    if run.class_weights is None:
        return total / len(rows)
    return total / run.class_weights[torch.from_numpy(run.train.answers[rows]).to(logits.device)].sum()


def _parts(learners: Sequence[Learner], batches: Sequence[Batch], limit: int) -> Iterator[list[int]]:
    """Yield the indices of learners whose batches fit into one run of the trunk, at least one at a time.

    Their prompts have one form, and together they have at most `limit` tokens (rows x longest row).
    """
    forms = [learner.classifier.prompt.form for learner in learners]
    for form in dict.fromkeys(forms):
        part: list[int] = []
        count = longest = 0
        for i, (learner, batch) in enumerate(zip(learners, batches, strict=True)):
            if not batch.ids or forms[i] != form:
                continue
            length = learner.classifier.prompt.tokens + batch.longest
            if part and (count + len(batch.ids)) * max(longest, length) > limit:
                yield part
                part, count, longest = [], 0, 0
            part.append(i)
            count, longest = count + len(batch.ids), max(longest, length)
        if part:
            yield part
