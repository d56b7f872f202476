"""Makes the archive for devices, build/edge/softcall-edge-linux-x64.tar.zst or -aarch64 (docs/edge.md).

    make edge [PLATFORMS="x64 aarch64"] [TASKS="banking77 spamassassin"]

Everything that a device needs is in one folder: a Java runtime, the server with an AOT cache that was trained
in that very folder, native libraries of one platform, the int8 base, tasks with their prefixes. A folder for
another processor than this one's is trained under qemu's user mode.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import edge_runtime
import zstandard
from aot_cache import record
from edge_licenses import write_licenses
from edge_runtime import Emulator
from local_server import APP, ROOT, LocalServer, ServerFailed

EDGE = ROOT / "build/edge"
BASE = ROOT / "build/base"
VARIANT = "int8"
COMPRESSION = 12
NATIVE = (".so", ".dll", ".dylib", ".jnilib")
# Their libraries are files of the folder, or are never used.
WITHOUT_NATIVE = (
    "com.microsoft.onnxruntime.",
    "ai.djl.huggingface.tokenizers",
    "net.java.dev.jna.",
    "com.github.luben.zstd-jni.",
)
SLOWER_S = {"native": 60, "emulated": 900}


@dataclass(frozen=True)
class Platform:
    """A processor under Linux, by its names.

    `machine` is what `uname -m` says; `in_jars` are the folders in which jars have its libraries.
    """

    name: str
    machine: str
    in_jars: tuple[str, ...]

    @property
    def is_here(self) -> bool:
        """Whether this machine has such a processor."""
        return platform.machine() == self.machine


PLATFORMS = {
    "x64": Platform("x64", "x86_64", ("linux/amd64/", "Linux/x86_64/", "linux-x86_64/")),
    "aarch64": Platform("aarch64", "aarch64", ("linux/aarch64/", "Linux/aarch64/", "linux-aarch64/")),
}


def main() -> None:
    """Make the folder, then the archive."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--platform", choices=PLATFORMS, default="x64")
    parser.add_argument("--tasks", nargs="+", default=["banking77", "spamassassin"], metavar="TASK")
    options = parser.parse_args()
    target = PLATFORMS[options.platform]
    folder = EDGE / f"linux-{target.name}" / "softcall-edge"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("softcall-edge", "small-memory.env", "softcall-edge.service"):
        shutil.copy2(ROOT / "deploy/edge" / name, folder)
    edge_runtime.make(folder / "runtime", target.machine)
    copy_application(folder / "app", target)
    copy_base(folder / "base")
    push_tasks(folder / "tasks", options.tasks)
    write_licenses(folder)
    train(folder, target, options.tasks)
    describe(folder, target)
    archive = EDGE / f"softcall-edge-linux-{target.name}.tar.zst"
    pack(folder, archive)
    print(f"{archive.relative_to(ROOT)}: {archive.stat().st_size / 1e6:.0f} MB")


def copy_application(app: Path, target: Platform) -> None:
    """The packaged server, with native libraries of one platform only."""
    others = shutil.ignore_patterns("native", "server.aot", "quarkus-app-dependencies.txt")
    shutil.copytree(APP, app, ignore=others)
    libraries = f"Linux-{target.machine}"
    shutil.copytree(APP / "native" / libraries, app / "native" / libraries)
    for jar in app.rglob("*.jar"):
        drop_foreign_libraries(jar, target)


def drop_foreign_libraries(jar: Path, target: Platform) -> None:
    """Take native libraries out of a jar, but for those of `target` that are loaded from there."""
    keep = () if jar.name.startswith(WITHOUT_NATIVE) else target.in_jars

    def foreign(name: str) -> bool:
        return name.endswith(NATIVE) and not any(folder in name for folder in keep)

    with zipfile.ZipFile(jar) as whole:
        if not any(foreign(name) for name in whole.namelist()):
            return
        smaller = jar.with_suffix(".smaller")
        with zipfile.ZipFile(smaller, "w") as kept:
            for entry in whole.infolist():
                if not foreign(entry.filename):
                    kept.writestr(entry, whole.read(entry), entry.compress_type)
    shutil.copystat(jar, smaller)
    smaller.rename(jar)


def copy_base(base: Path) -> None:
    """The base bundle without full precision, for classification alone: tasks bring their prefixes."""
    described = json.loads((BASE / "base.json").read_text("utf-8"))
    described["variants"] = {VARIANT: described["variants"][VARIANT]}
    described["variants"][VARIANT].pop("generation", None)
    described["chat_template"] = None
    del described["output_embedding"]  # lies in a file of full precision
    for name in described["variants"][VARIANT]["files"]:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(BASE / name, base / name)
    shutil.copy2(BASE / "tokenizer.json", base)
    (base / "base.json").write_text(json.dumps(described), "utf-8")


def push_tasks(store: Path, tasks: list[str]) -> None:
    """Store tasks of this repository with their prefixes ready made."""
    for task in tasks:
        artifact = ROOT / "tasks" / task / "adapter_model.safetensors"
        command = [Path(sys.executable).with_name("softcall"), "push", artifact, task, "--prefix", VARIANT]
        subprocess.run([*command, "--base", BASE, "--store", f"file:{store}"], check=True)


def train(folder: Path, target: Platform, tasks: list[str]) -> None:
    """Train the AOT cache by a run of the folder's own server."""
    log = EDGE / f"training-{target.name}.log"
    with tempfile.TemporaryDirectory() as packed, Emulator.of(folder, target.machine) as emulated:
        settings = {"SOFTCALL_BASE_DIR": str(folder / "base"), "SOFTCALL_BASE_CACHE_DIR": packed}
        settings |= emulated.settings

        def start(options: list[str]) -> LocalServer:
            return LocalServer(
                folder / "tasks",
                log,
                options,
                stop_limit_s=600,
                settings=settings,
                command=[folder / "softcall-edge", "serve"],
                start_limit_s=SLOWER_S["native" if target.is_here else "emulated"],
            )

        record(folder / "app/server.aot", start, tasks)


def describe(folder: Path, target: Platform) -> None:
    """Write the folder's README.md, which lists what is in it by size."""
    parts = {
        "base": "the model: int8 weights and the tokenizer",
        "runtime": "Java",
        "app/native": "the libraries of ONNX Runtime, the tokenizer and zstd",
        "app/server.aot": "Java's AOT cache, by which the start is quick",
        "app": "the server: its own jar and those it needs",
        "tasks": "prompts with their prefixes",
        "licenses": "the licenses of everything here",
    }
    sizes = {part: size(folder / part) for part in parts}
    sizes["app"] -= sizes["app/native"] + sizes["app/server.aot"]
    rows = sorted(parts, key=sizes.get, reverse=True)
    table = "\n".join(f"| `{part}` | {sizes[part] / 1e6:.1f} | {parts[part]} |" for part in rows)
    text = (ROOT / "deploy/edge/README.md").read_text("utf-8")
    (folder / "README.md").write_text(text.format(platform=target.name, sizes=table), "utf-8")


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def pack(folder: Path, archive: Path) -> None:
    """An archive of the folder; the times of files stay, by which the AOT cache knows them."""

    def nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    compressor = zstandard.ZstdCompressor(level=COMPRESSION, threads=-1)
    with (
        archive.open("wb") as file,
        compressor.stream_writer(file) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.add(folder, folder.name, filter=nobodys)


if __name__ == "__main__":
    try:
        main()
    except (edge_runtime.RuntimeMissing, ServerFailed) as failure:
        sys.exit(f"edge: {failure}")
