"""The scenarios, in the order in which they run; each measures one thing and writes it into the book."""

from collections.abc import Callable

from softcall_bench.bench import Bench
from softcall_bench.scenarios import (
    adapters,
    alone_and_in_batches,
    cold_start,
    generation,
    kv_prompts,
    lengths,
    listing,
    memory,
    one_core,
    overload,
    physical_limit,
    revalidation,
    speed,
    tasks_in_turn,
)

SCENARIOS: dict[str, Callable[[Bench], None]] = {
    "limit": physical_limit.run,
    "speed": speed.run,
    "batches": alone_and_in_batches.run,
    "cold-start": cold_start.run,
    "memory": memory.run,
    "revalidation": revalidation.run,
    "one-core": one_core.run,
    "lengths": lengths.run,
    "tasks": tasks_in_turn.run,
    "overload": overload.run,
    "listing": listing.run,
    "adapters": adapters.run,
    "kv-prompts": kv_prompts.run,
    **generation.PARTS,
}

GROUPS: dict[str, list[str]] = {generation.GROUP: list(generation.PARTS)}
"""Names that stand for several scenarios."""
