"""A learner: the parameters that a candidate trains, and their optimizer."""

import torch
from torch import Tensor, nn

from softcall.evaluation.classifier import PromptedClassifier
from softcall.training.loop.checkpoint import LearnerState
from softcall.training.settings.config import Head, TrainConfig
from softcall.training.settings.sweep import Candidate

HEAD_WEIGHT_DECAY = 0.01


class Learner:
    """A candidate in training: its parameters (prompt, label head, or a whole trunk) and its optimizer."""

    def __init__(
        self,
        config: TrainConfig,
        candidate: Candidate,
        classifier: PromptedClassifier,
        trunk: nn.Module | None = None,
    ) -> None:
        """Collect the parameters; those of a `trunk`, which belongs to this learner alone, if unfrozen."""
        self.candidate, self.classifier, self.state = candidate, classifier, LearnerState()
        self.learnt = {"prompt": classifier.prompt.learnt}
        head = {}
        if config.head == Head.TRAINED:
            head = {"label_head": classifier.label_head, "label_bias": classifier.label_bias}
        self.learnt |= head
        for name, parameter in trunk.named_parameters() if trunk is not None else ():
            if parameter.requires_grad:
                self.learnt["trunk." + name] = parameter
        self.learnt = {name: parameter for name, parameter in self.learnt.items() if parameter.numel()}
        others = [parameter for name, parameter in self.learnt.items() if name not in head]
        groups = (
            (others, candidate.learning_rate, config.weight_decay),
            (list(head.values()), config.head_learning_rate, HEAD_WEIGHT_DECAY),
        )
        self.optimizer = torch.optim.AdamW(
            [
                {"params": parameters, "peak": rate, "weight_decay": decay}
                for parameters, rate, decay in groups
                if parameters
            ],
            lr=0.0,
            fused=classifier.device.type == "cuda",
        )

    def take(self, state: LearnerState) -> None:
        """Resume from a stored state."""
        self.state = state
        self.restore(state.learnt)
        self.optimizer.load_state_dict(state.optimizer)

    @torch.no_grad()
    def restore(self, learnt: dict[str, Tensor]) -> None:
        """Replace the parameters by these values."""
        for name, parameter in self.learnt.items():
            parameter.copy_(learnt[name])

    def set_rate(self, share: float) -> None:
        """Set the learning rates of the next step, as a share of their peaks."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share

    def advance(self, step: int, accuracy: float, loss: float) -> bool:
        """Record the evaluation of `step` on dev; return whether it is the best so far."""
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
        """Record the current parameters for the next checkpoint."""
        self.state.learnt = {name: value.detach() for name, value in self.learnt.items()}
        self.state.optimizer = self.optimizer.state_dict()

    def drop(self, step: int, reason: str) -> None:
        """Stop learning after `step`, and release the optimizer's memory."""
        self.state.steps, self.state.dropped = step, reason
        self.state.learnt = {name: value.detach().cpu().clone() for name, value in self.learnt.items()}
        self.state.optimizer = {}
        self.optimizer = None
