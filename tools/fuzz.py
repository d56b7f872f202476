"""Fuzzes whatever reads what strangers send, for a time in all, and says what was found.

    python3 tools/fuzz.py [--minutes 10] [--only Csv] [--jobs 2]

Each method with `@FuzzTest` is a target, and all have the same share of the time. A target starts from its
inputs in `src/test/resources` and from what earlier runs have collected in `build/fuzz/corpus`. Each gives a
line. What makes one fail goes to `build/fuzz/findings`, and the status is 1. `make fuzz` runs it;
docs/fuzzing.md says how to keep a finding.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "src/test/java"
FUZZ = ROOT / "build/fuzz"

LEAST_S = 5  # for a target: the JVM takes two of them
LONGEST_S = 20  # that one input may take
START_S = 300  # and the end, beside the time of a target
HEAP = "1g"
# Whose branches are to be taken: what reads JSON decides what we see of it.
READERS = ("io.softcall.**", "com.fasterxml.jackson.core.json.**", "io.cloudevents.**")
# They scan the class path once for each class of java.util.regex, which takes ten seconds.
SLOW_HOOKS = "com.code_intelligence.jazzer.sanitizers.RegexRoadblocks"
TARGET = re.compile(r"@FuzzTest\b[^;{]*?\bvoid\s+(\w+)\s*\(")
PROGRESS = re.compile(r"^#(\d+)\s.*?\bcov: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """A method of a test."""

    test: str  # the class, in full
    method: str

    @property
    def name(self) -> str:
        """Short enough for a line."""
        return f"{self.test.rsplit('.', 1)[1].removesuffix('FuzzTest')}.{self.method}"

    def folder(self, kind: str) -> Path:
        """Below `build/fuzz`."""
        return FUZZ / kind / self.test / self.method


@dataclass(frozen=True)
class Outcome:
    """What became of a target."""

    executions: int
    coverage: int
    findings: list[Path]
    problem: str  # empty where there is none


def main() -> None:
    """Fuzz; status 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of fuzzing, the sum over all targets")
    parser.add_argument("--only", default="", help="targets whose names have this in them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time")
    options = parser.parse_args()
    chosen = [target for target in targets() if options.only in target.name]
    if not chosen:
        sys.exit(
            f"fuzz: no target has {options.only} in its name, expected one of {[t.name for t in targets()]}"
        )
    seconds = max(LEAST_S, round(options.minutes * 60 / len(chosen)))
    java, classpath = build()
    print(f"fuzz: {len(chosen)} targets, {seconds} s each, {options.jobs} at a time", flush=True)
    failed = False
    with ThreadPoolExecutor(options.jobs) as threads:
        under_way = {threads.submit(fuzz, target, java, classpath, seconds): target for target in chosen}
        for ended in as_completed(under_way):
            outcome = ended.result()
            report(under_way[ended], outcome)
            failed |= bool(outcome.findings or outcome.problem)
    sys.exit(failed)


def report(target: Target, outcome: Outcome) -> None:
    """Print a line, and below it the findings and the problem."""
    print(
        f"{target.name:32} {outcome.executions:>10} executions   coverage {outcome.coverage:>5}   "
        f"{len(outcome.findings)} findings",
        flush=True,
    )
    for finding in outcome.findings:
        print(f"  {finding.relative_to(ROOT)}", flush=True)
    if outcome.problem:
        print(f"  {outcome.problem}; {target.folder('logs').relative_to(ROOT)}.log has all of it", flush=True)


def targets() -> list[Target]:
    """All of them, by their sources."""
    found = []
    for source in sorted(TESTS.rglob("*FuzzTest.java")):
        test = ".".join(source.relative_to(TESTS).with_suffix("").parts)
        found += [Target(test, method) for method in TARGET.findall(source.read_text())]
    return found


def build() -> tuple[Path, str]:
    """Compile the tests. Returns Java and the class path."""
    home = subprocess.run(
        [ROOT / "tools/java-home"], check=True, capture_output=True, text=True
    ).stdout.strip()
    FUZZ.mkdir(parents=True, exist_ok=True)
    jars = FUZZ / "classpath"
    goals = [
        "test-compile",
        "dependency:build-classpath",
        f"-Dmdep.outputFile={jars}",
        "-Dspotless.check.skip",
    ]
    subprocess.run(
        [ROOT / "mvnw", "-B", "-ntp", "-q", *goals],
        check=True,
        cwd=ROOT,
        env={**os.environ, "JAVA_HOME": home},
    )
    classes = [ROOT / "target/test-classes", ROOT / "target/classes"]
    return Path(home, "bin/java"), os.pathsep.join([*map(str, classes), jars.read_text()])


def fuzz(target: Target, java: Path, classpath: str, seconds: int) -> Outcome:
    """Run one target for a time."""
    findings = target.folder("findings")
    shutil.rmtree(findings, ignore_errors=True)
    for folder in (findings, target.folder("corpus"), target.folder("logs").parent):
        folder.mkdir(parents=True, exist_ok=True)
    log = target.folder("logs").with_suffix(".log")
    command = [
        *(str(java), f"-Xmx{HEAP}", "-XX:+EnableDynamicAgentLoading", "--enable-native-access=ALL-UNNAMED"),
        *("-Djava.util.logging.manager=org.jboss.logmanager.LogManager", "-cp", classpath),
        *(
            "com.code_intelligence.jazzer.Jazzer",
            f"--target_class={target.test}",
            f"--target_method={target.method}",
        ),
        *(f"--instrumentation_includes={os.pathsep.join(READERS)}", "--custom_hook_includes=io.softcall.**"),
        f"--disabled_hooks={SLOW_HOOKS}",
        f"--reproducer_path={findings}",
        *(f"-artifact_prefix={findings}/", f"-max_total_time={seconds}", f"-timeout={LONGEST_S}"),
        str(target.folder("corpus")),
    ]
    with log.open("wb") as output:
        try:
            status = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, "JAZZER_FUZZ": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=seconds + START_S,
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
    return judge(log.read_text(errors="replace"), status, sorted(findings.iterdir()))


def judge(log: str, status: int, findings: list[Path]) -> Outcome:
    """What a run has said."""
    progress = PROGRESS.findall(log)
    executions, coverage = map(int, progress[-1]) if progress else (0, 0)
    problem = ""
    if status != 0:
        causes = re.findall(r"^(?:== Java Exception: |Caused by: )(.*)", log, re.MULTILINE)
        problem = causes[0][:200] if causes else f"the fuzzer ended with status {status}"
    elif executions == 0:
        problem = "nothing was executed"
    return Outcome(executions, coverage, findings, problem)


if __name__ == "__main__":
    main()
