"""Writing text: the scenarios `generation-...`, which `--only generation` runs all together."""

from collections.abc import Callable

from softcall_bench.bench import Bench
from softcall_bench.scenarios.generation import answers, memory, mixed, replacement, speed, tasks_in_turn

GROUP = "generation"
PARTS: dict[str, Callable[[Bench], None]] = {
    answers.SCENARIO: answers.run,
    speed.SCENARIO: speed.run,
    mixed.SCENARIO: mixed.run,
    memory.SCENARIO: memory.run,
    tasks_in_turn.SCENARIO: tasks_in_turn.run,
    replacement.SCENARIO: replacement.run,
}
