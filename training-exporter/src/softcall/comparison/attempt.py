"""The outcome of a method: its answers, and what it had to learn for them."""

from dataclasses import dataclass, field, replace

from softcall.artifact.artifact import ClassificationArtifact
from softcall.training.loop.scoring import Result


@dataclass(frozen=True)
class Attempt:
    """The answers of a trained classifier on dev and test, and what it learnt."""

    dev: Result
    test: Result
    parameters: int = 0
    size: int = 0
    switch_seconds: float = 0.0
    curve: list[list[float]] = field(default_factory=list)
    evaluations: list[list[float]] = field(default_factory=list)
    artifact: ClassificationArtifact | None = None  # of a prompt

    @property
    def calibrated(self) -> Result:
        """The answers on test, with the temperature of the artifact, or the one that fits dev."""
        return replace(
            self.test,
            temperature=self.artifact.temperature if self.artifact else self.dev.calibrated.temperature,
        )
