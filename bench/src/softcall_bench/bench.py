"""What every scenario is given."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rich.console import Console

from softcall_bench import programs
from softcall_bench.book import Book
from softcall_bench.load import closed_loop
from softcall_bench.local_server import ROOT
from softcall_bench.server import Server
from softcall_bench.workload import TEXT_TOKENS, Workload

RESULTS = ROOT / "build/bench"
FILE_STORE = f"file:{ROOT / 'tasks'}"
FULL_PRECISION = "fp32"
INT8 = "int8"
WARM_CLIENTS, WARM_S = 16, 15


@dataclass(frozen=True)
class Bench:
    """The workload, the variants that the base has, how long to measure, and where figures go."""

    workload: Workload
    variants: tuple[str, ...]
    quick: bool
    book: Book
    console: Console

    @property
    def fastest(self) -> str:
        """The variant that scenarios use which look at one: int8 where the base has it."""
        return INT8 if INT8 in self.variants else FULL_PRECISION

    @cached_property
    def wrk(self) -> programs.Program:
        """The load generator."""
        return programs.wrk()

    def rounds(self, wanted: int) -> int:
        """How many rounds to interleave."""
        return max(1, wanted // 3) if self.quick else wanted

    def scratch(self, name: str) -> Path:
        """A folder for a scenario's files, which may be there from an earlier run."""
        return RESULTS / "work" / name

    def say(self, what: str) -> None:
        """Show that time passes."""
        self.console.print(f"  {what}", style="dim", highlight=False)

    def warm(self, server: Server) -> None:
        """Answer short texts for a while: what is measured next shall not be the JVM's own warming up."""
        closed_loop(self.wrk, server.url, self.workload.bodies(self.workload.shortest), WARM_CLIENTS, WARM_S)

    def load(
        self,
        server: Server,
        clients: int,
        seconds: int,
        bodies: list[str] | None = None,
        tokens: float = TEXT_TOKENS,
    ) -> dict[str, float]:
        """The figures of a closed loop of `clients`."""
        return closed_loop(self.wrk, server.url, bodies or self.workload.bodies(), clients, seconds).figures(
            tokens
        )
