"""The data set E2E (descriptions of restaurants), and prompts for it that others have trained.

Neither is a part of this repository: $SOFTCALL_ADAPTERS and $BENCH_DATA name the folders that have
`e2e_nlg`.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from softcall_bench.bench import Bench
from softcall_bench.push import push
from softcall_bench.server import BASE
from softcall_bench.sides import SideFailed

ADAPTERS, DATA = "SOFTCALL_ADAPTERS", "BENCH_DATA"  # a server refuses unknown names that begin as the first
NAME = "e2e_nlg"
REFERENCES = "test_refs.jsonl"
SOFT, KV = "soft", "kv"
TEMPLATE = "Data: {text}\nText:"
MAX_TOKENS = 100


@dataclass(frozen=True)
class E2e:
    """`adapters` has PEFT's folders `soft` and `kv`; `references`: input to the texts that people wrote."""

    adapters: Path
    references: dict[str, list[str]]

    @classmethod
    def find(cls, bench: Bench, scenario: str) -> "E2e | None":
        """Where the folders are; None, with a note, where they are not."""
        adapters, data = (Path(os.environ.get(name, "no-such-folder")) / NAME for name in (ADAPTERS, DATA))
        if not (adapters.is_dir() and (data / REFERENCES).is_file()):
            bench.book.note(
                f"{scenario}: prompts of E2E are not measured, because ${ADAPTERS}/{NAME} is no folder of"
                f" adapters, or ${DATA}/{NAME} has no {REFERENCES}"
            )
            return None
        references: dict[str, list[str]] = {}
        for line in (data / REFERENCES).read_text().splitlines():
            row = json.loads(line)
            references.setdefault(row["input"], []).append(row["target"])
        return cls(adapters, references)

    def push(self, store: Path) -> None:
        """Put both prompts into a file store, as tasks of their names; raises `SideFailed`."""
        for name in (SOFT, KV):
            flags = ["--store", f"file:{store}", "--base", str(BASE), "--kind", "generation"]
            flags += ["--template", TEMPLATE, "--max-tokens", str(MAX_TOKENS), "--temperature", "0"]
            if said := push(str(self.adapters / name), name, *flags):
                raise SideFailed(f"`softcall push` of {self.adapters / name} failed: {said}")
