"""A file that appears complete or not at all; and reading takes regular files alone."""

import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from softcall.core.bounded_file import read_bounded, read_json_object, require_file
from softcall.core.errors import SoftcallError
from softcall.core.new_file import new_file, write_file
from softcall.core.regular_file import open_regular


def test_the_old_content_stays_until_the_new_is_whole(tmp_path):
    path = tmp_path / "file"
    write_file(path, b"old")
    with new_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    with pytest.raises(ZeroDivisionError), new_file(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_it(tmp_path):
    previous = os.umask(0o022)
    try:
        write_file(tmp_path / "file", b"")
    finally:
        os.umask(previous)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("target", ["elsewhere", "nowhere", "link"])
def test_a_link_is_replaced_and_not_followed(tmp_path, target):
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(target)
    write_file(tmp_path / "link", b"new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"new"
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_replaced(tmp_path, make):
    make(tmp_path / "other")
    with pytest.raises(SoftcallError, match=r"cannot write .*/other: it exists and is not a file"):
        write_file(tmp_path / "other", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["other"]


def test_a_name_as_long_as_names_can_be(tmp_path):
    write_file(tmp_path / ("x" * 255), b"new")
    with pytest.raises(SoftcallError, match=r"cannot write .*: File name too long"):
        write_file(tmp_path / ("x" * 256), b"new")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file/a", tmp_path / "none/a"):
        with pytest.raises(SoftcallError, match=f"cannot write {path}: (Not a directory|No such file)"):
            write_file(path, b"new")


def test_a_disk_that_is_full_leaves_nothing(tmp_path):
    """The largest size of a file stands in for a disk without room."""
    code = """if True:
        import sys
        from pathlib import Path
        from softcall.core.new_file import write_file
        write_file(Path(sys.argv[1]), b"x" * 100_000)
    """
    (tmp_path / "file").write_bytes(b"old")

    def bound():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(tmp_path / "file")],
        preexec_fn=bound,
        capture_output=True,
        text=True,
    )
    assert f"cannot write {tmp_path}/file: File too large" in done.stderr
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def pipe(path):
    os.mkfifo(path)


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (pipe, "it is a named pipe; expected a file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device; expected a file"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: None, "No such file or directory"),
        (unix_socket, "No such device or address"),
    ],
)
@pytest.mark.parametrize(
    "read", [lambda path: read_bounded(path, 10), lambda path: read_json_object(path, 10), require_file]
)
@pytest.mark.timeout(120)
def test_only_regular_files_are_read(tmp_path, monkeypatch, make, reason, read):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    make(Path("x"))
    with pytest.raises(SoftcallError) as refused:
        read(Path("x"))
    assert str(refused.value) == f"x: cannot be read ({reason})"


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"content"
