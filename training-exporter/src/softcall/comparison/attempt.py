"""What a method reached: its answers, and what had to be learnt for them."""

from dataclasses import dataclass, field, replace

from softcall.artifact.artifact import Artifact
from softcall.training.loop.scoring import Result


@dataclass(frozen=True)
class Attempt:
    """A trained classifier's answers on dev and test, and what was learnt for it."""

    dev: Result
    test: Result
    parameters: int = 0
    size: int = 0
    switch_seconds: float = 0.0
    curve: list[list[float]] = field(default_factory=list)
    evaluations: list[list[float]] = field(default_factory=list)
    artifact: Artifact | None = None  # of a prompt

    @property
    def calibrated(self) -> Result:
        """Test, with the temperature of the artifact, else that which fits dev."""
        return replace(
            self.test,
            temperature=self.artifact.temperature if self.artifact else self.dev.calibrated.temperature,
        )
