"""The command line: runs scenarios, prints the table and the bars, writes JSON and charts."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from softcall_bench import cores
from softcall_bench.bench import FULL_PRECISION, INT8, RESULTS, Bench
from softcall_bench.book import Book
from softcall_bench.load import LoadFailed
from softcall_bench.local_server import ROOT, ServerFailed
from softcall_bench.machine import Machine
from softcall_bench.object_store import ObjectStoreFailed
from softcall_bench.programs import ProgramMissing
from softcall_bench.publish import PAGE, publish
from softcall_bench.report import report
from softcall_bench.scenarios import GROUPS, SCENARIOS
from softcall_bench.sides import SideFailed
from softcall_bench.workload import TEXT_TOKENS, Workload

RESULTS_FILE = RESULTS / "results.json"
COMMIT = "SOFTCALL_BENCH_COMMIT"  # of a copy that is no git repository
FAILURES = (LoadFailed, ObjectStoreFailed, ProgramMissing, ServerFailed, SideFailed)


def main() -> None:
    """Run what was asked for; ends with 1 when a scenario failed."""
    arguments = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 150)
    if arguments.report or arguments.publish:
        _tell_run(console, arguments.results, arguments.publish)
        return
    if arguments.cores:
        _divide(arguments.cores)
    workload = Workload.shipped()
    variants = tuple(name for name in (FULL_PRECISION, INT8) if name in workload.base.variants)
    book, machine = Book(), Machine.here()
    bench = Bench(workload, variants, arguments.quick, book, console)
    if INT8 not in variants:
        book.note(f"int8: the base {workload.base.folder} has no such variant, only {', '.join(variants)}")
    console.print(str(machine), highlight=False)
    bench.say(f"{len(workload.texts)} texts of {TEXT_TOKENS} tokens, a prompt of {workload.artifact.tokens}")
    failed = []
    for name in arguments.only or SCENARIOS:
        failed += [] if _run(name, bench) else [name]
        _write(arguments.results, book, machine, arguments.quick)
    report(book, machine, console)
    sys.exit(f"bench: failed: {', '.join(failed)}" if failed else 0)


def _divide(chosen: list[int]) -> None:
    try:
        cores.divide(chosen)
    except cores.Indivisible as error:
        sys.exit(f"bench: --cores: {error}")


def _tell_run(console: Console, results: Path, page: Path | None) -> None:
    if not results.is_file():
        sys.exit(f"bench: no {results}; `make bench` writes {RESULTS_FILE}")
    record = json.loads(results.read_text())
    book, machine = Book.of_records(record["measurements"], record["notes"]), Machine.of(record["machine"])
    report(book, machine, console)
    if page:
        publish(page, book, machine, record["time"], record["commit"], record["quick"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="softcall_bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument(
        "--only", type=_names, metavar="NAMES", help=f"some of {','.join([*SCENARIOS, *GROUPS])}"
    )
    parser.add_argument(
        "--cores", type=_numbers, metavar="N,M", help="what is measured has these, all else the others"
    )
    parser.add_argument("--report", action="store_true", help="print the last run's results, measure nothing")
    parser.add_argument(
        "--publish",
        type=Path,
        nargs="?",
        const=PAGE,
        metavar="PAGE",
        help=f"write them into docs/{PAGE.name}",
    )
    parser.add_argument("--results", type=Path, default=RESULTS_FILE, metavar="FILE", help="where they are")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = [name for part in text.split(",") for name in GROUPS.get(part, [part])]
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise argparse.ArgumentTypeError(
            f"no scenario {', '.join(unknown)}; there are {', '.join([*SCENARIOS, *GROUPS])}"
        )
    return names


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} are no cores; expected numbers such as 2,3") from None


def _run(name: str, bench: Bench) -> bool:
    """Whether it went well; what failed is said, and the others go on."""
    started = time.monotonic()
    bench.console.rule(name, align="left")
    try:
        SCENARIOS[name](bench)
    except FAILURES as error:
        bench.console.print(f"  failed: {error}", style="red", markup=False)
        bench.book.note(f"{name}: failed: {str(error).splitlines()[0]}")
        return False
    bench.say(f"{time.monotonic() - started:.0f} s")
    return True


def _write(results: Path, book: Book, machine: Machine, quick: bool) -> None:
    record = {
        "commit": os.environ.get(COMMIT) or _commit(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "quick": quick,
        "machine": asdict(machine),
        "notes": book.notes,
        "measurements": book.records(),
    }
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(record, indent=1) + "\n")


def _commit() -> str:
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return told.stdout.strip()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated; the servers are stopped"))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; the servers are stopped")
