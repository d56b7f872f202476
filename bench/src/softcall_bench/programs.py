"""wrk, vegeta, versitygw and toxiproxy: taken from the PATH, or installed into a cache folder, once."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from softcall.base.default_base import cache_folder
from softcall_bench.local_server import ROOT

GO_PROGRAM = ROOT / "tools/go-program"
DEBIAN_PACKAGES = ("wrk", "libluajit-5.1-2", "libluajit-5.1-common")


class ProgramMissing(Exception):
    """A program is neither on the PATH nor could it be installed; the message says what to install."""


@dataclass(frozen=True)
class Program:
    """An executable, and the variables it needs."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def folder() -> Path:
    """Where the bench keeps programs."""
    return cache_folder() / "bench"


def wrk() -> Program:
    """The load generator; Debian's package is unpacked into the cache where it is not installed."""
    if found := shutil.which("wrk"):
        return Program(Path(found))
    root = folder() / "wrk"
    if not (root / "usr/bin/wrk").is_file():
        with tempfile.TemporaryDirectory() as packages:
            _run(["apt-get", "download", *DEBIAN_PACKAGES], "wrk", packages)
            root.mkdir(parents=True, exist_ok=True)
            for package in sorted(Path(packages).glob("*.deb")):
                _run(["dpkg", "-x", str(package), str(root)], "wrk", packages)
    libraries = sorted({str(file.parent) for file in root.glob("usr/lib/*/libluajit*")})
    return Program(root / "usr/bin/wrk", {"LD_LIBRARY_PATH": ":".join(libraries)})


def go_program(name: str) -> Program:
    """`versitygw`, `toxiproxy-server` or `vegeta`, built by Go where they are not installed."""
    if found := shutil.which(name):
        return Program(Path(found))
    built = subprocess.run([GO_PROGRAM, name], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode != 0:
        raise ProgramMissing(f"{name} is not on the PATH, and `tools/go-program {name}` failed")
    return Program(Path(built.stdout.strip()))


def _run(command: list[str], program: str, directory: str) -> None:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ProgramMissing(
            f"{program} is not on the PATH, nor {command[0]}, which would fetch it"
        ) from None
    if done.returncode != 0:
        raise ProgramMissing(f"{program} is not on the PATH, and `{' '.join(command)}` failed: {done.stderr}")
