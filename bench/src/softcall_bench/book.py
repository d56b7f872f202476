"""What was measured: a key names a thing, each round gives it figures, the median is what is told."""

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Key:
    """A thing that is measured.

    `side` is peft, torch trunk, llama.cpp, onnxruntime or softcall; `clients` are clients of the server,
    or rows of a batch for the other sides; `detail` is what else the scenario varies.
    """

    scenario: str
    side: str
    variant: str = ""
    clients: int = 1
    detail: str = ""


class Book:
    """Figures of all rounds by key."""

    def __init__(self) -> None:
        """Nothing is measured yet."""
        self._rounds: dict[Key, list[dict[str, float]]] = {}
        self.notes: list[str] = []

    def add(self, key: Key, figures: Mapping[str, float]) -> None:
        """Write down one round."""
        self._rounds.setdefault(key, []).append(dict(figures))

    def note(self, text: str) -> None:
        """Write down what was not measured, and why."""
        if text not in self.notes:
            self.notes.append(text)

    def measured(self, scenario: str | None = None) -> list[Key]:
        """What was measured, in order."""
        return [key for key in self._rounds if scenario in (None, key.scenario)]

    def rounds(self, key: Key) -> list[dict[str, float]]:
        """The figures of each round."""
        return self._rounds.get(key, [])

    def median(self, key: Key, figure: str) -> float | None:
        """The median over rounds; None where it was not measured."""
        values = [figures[figure] for figures in self.rounds(key) if figure in figures]
        return statistics.median(values) if values else None

    def medians(self, key: Key) -> dict[str, float]:
        """The medians of all figures."""
        names = {name: None for figures in self.rounds(key) for name in figures}
        return {name: self.median(key, name) for name in names}

    def ratio(self, above: Key, below: Key, figure: str, below_figure: str | None = None) -> float | None:
        """The median over rounds of the ratio within a round; None where either was not measured."""
        ratios = self.ratios(above, below, figure, below_figure)
        return statistics.median(ratios) if ratios else None

    def ratios(self, above: Key, below: Key, figure: str, below_figure: str | None = None) -> list[float]:
        """The ratio within each round that has both."""
        pairs = zip(self.rounds(above), self.rounds(below), strict=False)
        return [
            a[figure] / b[below_figure or figure]
            for a, b in pairs
            if figure in a and (below_figure or figure) in b
        ]

    def difference(self, above: Key, below: Key, figure: str) -> float | None:
        """The median over rounds of the difference within a round; None where either was not measured."""
        differences = self.differences(above, below, figure)
        return statistics.median(differences) if differences else None

    def differences(self, above: Key, below: Key, figure: str) -> list[float]:
        """The difference within each round that has both."""
        pairs = zip(self.rounds(above), self.rounds(below), strict=False)
        return [a[figure] - b[figure] for a, b in pairs]

    def records(self) -> list[dict]:
        """Everything as JSON."""
        return [
            asdict(key) | {"median": self.medians(key), "rounds": self.rounds(key)} for key in self._rounds
        ]

    @classmethod
    def of_records(cls, records: list[dict], notes: list[str]) -> "Book":
        """Read back what `records` gave."""
        book = cls()
        book.notes = list(notes)
        for record in records:
            fields = {name: record[name] for name in ("scenario", "side", "variant", "clients", "detail")}
            for figures in record["rounds"]:
                book.add(Key(**fields), figures)
        return book
