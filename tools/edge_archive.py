"""What lies in the archives for devices, and that it runs where nothing else is."""

import contextlib
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import zstandard
from bars import Bars
from edge import EDGE, size
from edge_runtime import Emulator
from local_server import ROOT

MAX_MB = 260
TEXTS = 20
SENTENCES = ROOT / "training-exporter/examples/banking77/test.jsonl"
SUITE = "trixie"


@contextlib.contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The folder of an archive, for as long as a block lasts."""
    with tempfile.TemporaryDirectory(dir=EDGE) as folder:
        _unpack(archive, Path(folder))
        yield Path(folder, "softcall-edge")


def _unpack(archive: Path, folder: Path) -> None:
    with (
        archive.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as tar,
        tarfile.open(fileobj=tar, mode="r|") as entries,
    ):
        entries.extractall(folder, filter="tar")


def sentences(count: int) -> list[str]:
    """The first texts of the test set that are of different labels."""
    with SENTENCES.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    of_each = {row["label"]: row["text"] for row in rows}
    return list(of_each.values())[:count]


def classify(
    folder: Path, texts: Sequence[str], settings: dict[str, str], before: Sequence = ()
) -> list[dict]:
    """What `softcall-edge classify` prints for texts; `before` stands before the command."""
    done = subprocess.run(
        [*before, folder / "softcall-edge", "classify", "--task", "banking77"],
        input="\n".join(texts) + "\n",
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"classify ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def contents(archive: Path, bars: Bars) -> None:
    """The archive's size, and what its README says of it."""
    megabytes = archive.stat().st_size / 1e6
    bars.line("archive", f"{megabytes:.0f} MB", f"at most {MAX_MB} MB", megabytes <= MAX_MB)
    with unpacked(archive) as folder:
        foreign = [
            path
            for path in [*folder.rglob("*.so"), *folder.rglob("*.dll"), *folder.rglob("*.dylib")]
            if path.read_bytes()[18:20] != b"\x3e\x00"  # the ELF header's machine: x86-64
        ]
        full = list(folder.glob("base/fp32"))
        bars("foreign libraries, weights of full precision", len(foreign) + len(full), "")
        rows = [
            line.split("|")
            for line in (folder / "README.md").read_text("utf-8").splitlines()
            if "| `" in line
        ]
        listed = sum(float(row[2]) for row in rows)
        actual = size(folder) / 1e6
        bars.line(
            "README lists what is in it", f"{listed:.0f} MB", f"{actual:.0f} MB", abs(listed - actual) < 1
        )


def bare_debian(archive: Path, bars: Bars) -> None:
    """The folder in a bare Debian, with no network."""
    debian = EDGE / f"debian-{SUITE}"
    if not debian.is_dir():
        unfinished = debian.with_suffix(".unfinished")
        subprocess.run(
            ["debootstrap", "--variant=minbase", SUITE, unfinished], check=True, stdout=subprocess.DEVNULL
        )
        unfinished.rename(debian)
    texts = sentences(TEXTS)
    with unpacked(archive) as folder:
        here = [answer["label"] for answer in classify(folder, texts, {})]
    with tempfile.TemporaryDirectory(dir=debian / "opt") as place:
        _unpack(archive, Path(place))
        inside = Path("/", Path(place, "softcall-edge").relative_to(debian))
        enter = f'mount -t proc proc {debian}/proc && exec chroot {debian} "$@"'
        before = ["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-c", enter, "sh"]
        there = [answer["label"] for answer in classify(inside, texts, {}, before)]
    same = sum(a == b for a, b in zip(here, there, strict=True))
    bars.line(f"labels in a bare Debian ({SUITE})", f"{same}", f"{TEXTS}", same == TEXTS)


def same_labels(archive: Path, other: Path, bars: Bars) -> None:
    """The labels of the folder for aarch64, under qemu's user mode, beside those of the folder for x64."""
    texts = sentences(TEXTS)
    with unpacked(archive) as folder:
        here = classify(folder, texts, {})
    with unpacked(other) as folder, Emulator.of(folder, "aarch64") as emulator:
        there = classify(folder, texts, dict(emulator.settings))
    same = sum(a["label"] == b["label"] for a, b in zip(here, there, strict=True))
    apart = max(abs(a["score"] - b["score"]) for a, b in zip(here, there, strict=True))
    note = f"scores differ by {apart:.1e} at most"
    bars.line("labels of aarch64 under qemu", f"{same}", f"{TEXTS}", same == TEXTS, note)
