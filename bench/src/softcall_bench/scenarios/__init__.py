"""The scenarios, in the order in which they run; each measures one thing and writes it into the book."""

from collections.abc import Callable

from softcall_bench.bench import Bench
from softcall_bench.scenarios import physical_limit, speed

SCENARIOS: dict[str, Callable[[Bench], None]] = {
    "limit": physical_limit.run,
    "speed": speed.run,
}
