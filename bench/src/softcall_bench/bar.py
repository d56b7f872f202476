"""A figure, what is wanted of it, and whether that holds."""

import math
from dataclasses import dataclass

WITHIN_NOISE = "within noise"
VERDICT_STYLES = {"holds": "green", "falls short": "red", "not measured": "yellow"}


@dataclass(frozen=True)
class Bar:
    """A figure and what is wanted of it: at least `wanted`, or at most with `at_most`; None: not measured.

    `noise`: the figure is a difference whose sign the rounds do not agree on.
    """

    name: str
    figure: float | None
    wanted: float
    unit: str = ""
    at_most: bool = False
    note: str = ""
    noise: bool = False

    @property
    def verdict(self) -> str:
        """In words."""
        if self.figure is None or math.isnan(self.wanted):
            return "not measured"
        holds = self.figure <= self.wanted if self.at_most else self.figure >= self.wanted
        return "holds" if holds else "falls short"

    @property
    def figure_text(self) -> str:
        """The figure with its unit."""
        if self.figure is None:
            return "-"
        return WITHIN_NOISE if self.noise else f"{_number(self.figure)}{self.unit}"

    @property
    def wanted_text(self) -> str:
        """The bound with its unit."""
        if math.isnan(self.wanted):
            return "-"
        return f"{'at most' if self.at_most else 'at least'} {_number(self.wanted)}{self.unit}"


def bar_line(bar: Bar) -> str:
    """A bar in one line, with rich's markup."""
    style = VERDICT_STYLES[bar.verdict]
    note = f" ({bar.note})" if bar.note else ""
    return f"{bar.name:<78} {bar.figure_text:>12}  {bar.wanted_text:<18} [{style}]{bar.verdict}[/]{note}"


def _number(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    return f"{value:.1e}" if abs(value) < 0.005 else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
