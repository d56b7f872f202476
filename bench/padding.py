"""How much padding a run should bear: a simulation of the batcher on texts of mixed lengths.

Behind docs/batching.md. A run costs `START` tokens and its padded tokens. Clients send their next text as
soon as the last one is answered. Printed is the share of the time that goes into tokens of texts.
`python3 bench/padding.py` needs nothing but Python.
"""

import random

BUDGET = 1024
TEXTS = 1500
BOUNDS = [4, 8, 16, 32, 64, 128, BUDGET]
STARTS = [8, 26]
CLIENTS = [4, 16, 64]
LENGTHS = {
    "near 26": lambda rng: max(8, int(rng.gauss(26, 5))),
    "short and long": lambda rng: min(512, max(8, int(rng.lognormvariate(3.4, 0.8)))),
    "one in ten long": lambda rng: rng.randint(200, 512) if rng.random() < 0.1 else rng.randint(22, 30),
    "8 to 512": lambda rng: rng.randint(8, 512),
}


def choose(queue: list[int], bound: int) -> list[int]:
    """Indices of the rows that share the first one's run."""
    batch, longest, tokens = [], 0, 0
    for i in sorted(range(len(queue)), key=lambda i: abs(queue[i] - queue[0])):
        padded = max(longest, queue[i]) * (len(batch) + 1)
        if not batch or (padded <= BUDGET and padded - tokens - queue[i] <= bound):
            batch.append(i)
            longest, tokens = max(longest, queue[i]), tokens + queue[i]
    return batch


def efficiency(lengths, clients: int, start: int, bound: int) -> float:
    """Tokens of texts over all that was paid for."""
    rng = random.Random(1)
    queue = [lengths(rng) for _ in range(clients)]
    tokens = cost = texts = 0
    while texts < TEXTS:
        batch = choose(queue, bound)
        rows = [queue[i] for i in batch]
        texts, tokens, cost = texts + len(rows), tokens + sum(rows), cost + start + max(rows) * len(rows)
        queue = [row for i, row in enumerate(queue) if i not in set(batch)] + [lengths(rng) for _ in rows]
    return tokens / cost


def main() -> None:
    """Print a line for each mix of lengths."""
    print(
        f"{'lengths':16} clients start "
        + " ".join(f"{bound:>6}" for bound in BOUNDS)
        + "  padding tokens at most"
    )
    for name, lengths in LENGTHS.items():
        for clients in CLIENTS:
            for start in STARTS:
                row = " ".join(f"{efficiency(lengths, clients, start, bound):6.3f}" for bound in BOUNDS)
                print(f"{name:16} {clients:7} {start:5} {row}")


if __name__ == "__main__":
    main()
