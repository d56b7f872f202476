"""What is measured against what is wanted, a line each."""

from dataclasses import dataclass


@dataclass
class Bars:
    """Prints lines; `hold` says whether all of them hold."""

    hold: bool = True

    def __call__(self, name: str, wrong: int, note: str) -> None:
        """One line; `wrong` is wanted to be 0."""
        self.line(name, f"{wrong}", "0", wrong == 0, note)

    def line(self, name: str, figure: str, wanted: str, holds: bool, note: str = "") -> None:
        """One line: name, figure, what is wanted, verdict."""
        self.hold &= holds
        verdict = ("holds" if holds else "falls short") + (f" ({note})" if note else "")
        print(f"{name:50} {figure:>9}   {wanted} wanted   {verdict}", flush=True)
