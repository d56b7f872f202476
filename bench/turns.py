"""In which order the calls of a task fill a run: a simulation of the batcher under a full load.

Behind docs/batching.md. Clients send calls of several texts of one length, each as soon as its last one is
answered, `AWAY_MS` later. Two runs are under way, of which one computes. Printed are the rows of a run, the
texts a second and the median latency, where the waiting calls are served row by row in turn, and where each
has one row first and then they are served one after the other.
`python3 bench/turns.py` needs nothing but Python.
"""

import heapq
import statistics
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, count, zip_longest

PLACES = 315  # 8,192 tokens in texts of 26
RUNS = 2
START_MS, ROW_MS = 1.0, 0.035  # of a GPU
AWAY_MS = 4.0
LASTS_MS = 4_000.0
LOADS = [(256, 4), (64, 16), (16, 64)]


@dataclass(eq=False)
class Call:
    """Texts of one client, of which some wait and some are not answered yet."""

    arrived_ms: float
    waiting: int
    unfinished: int = field(init=False)

    def __post_init__(self) -> None:
        self.unfinished = self.waiting


def row_by_row(calls: list[Call]) -> list[Call]:
    """A call for each of its rows, in turn."""
    rounds = zip_longest(*([call] * call.waiting for call in calls))
    return [call for call in chain.from_iterable(rounds) if call]


def one_after_the_other(calls: list[Call]) -> list[Call]:
    """A row of each call, and then all others of the first, of the second, ..."""
    return calls + [call for call in calls for _ in range(call.waiting - 1)]


def simulate(order, clients: int, texts: int) -> tuple[float, float, float]:
    """Mean rows of a run, texts a second and median latency in ms."""
    number = count()
    events = [(AWAY_MS * client / clients, next(number), None) for client in range(clients)]
    queue: list[Call] = []
    under_way, free_ms = 0, 0.0
    rows, latencies = [], []
    while events[0][0] < LASTS_MS:
        now, _, ended = heapq.heappop(events)
        if ended is None:
            queue.append(Call(now, texts))
        else:
            under_way -= 1
            for call, taken in ended.items():
                call.unfinished -= taken
                if call.unfinished == 0:
                    latencies.append(now - call.arrived_ms)
                    heapq.heappush(events, (now + AWAY_MS, next(number), None))
        while queue and under_way < RUNS:
            batch = Counter(order(queue)[:PLACES])
            for call, taken in batch.items():
                call.waiting -= taken
            queue = [call for call in [*queue[1:], queue[0]] if call.waiting]
            free_ms = max(now, free_ms) + START_MS + ROW_MS * batch.total()
            heapq.heappush(events, (free_ms, next(number), batch))
            under_way += 1
            rows.append(batch.total())
    return statistics.mean(rows), sum(rows) / LASTS_MS * 1e3, statistics.median(latencies)


def main() -> None:
    """Print a line for each load and order."""
    print("clients texts a call  order                rows a run  texts/s  median ms")
    for clients, texts in LOADS:
        for order in (row_by_row, one_after_the_other):
            rows, rate, latency_ms = simulate(order, clients, texts)
            print(f"{clients:7} {texts:12}  {order.__name__:19} {rows:11.0f} {rate:8.0f} {latency_ms:10.1f}")


if __name__ == "__main__":
    main()
