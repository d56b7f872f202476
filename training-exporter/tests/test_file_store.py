"""A folder as a store: replaced in one step, readable by the server, not confused by what else lies there."""

import fcntl
import hashlib
import os
import threading

import pytest

from softcall.core.errors import SoftcallError
from softcall.stores import file_store
from softcall.stores.addresses import open_store
from softcall.stores.store import CONFIG, OBJECT


def test_a_version_is_the_sha256_of_the_content(tmp_path):
    version = open_store(f"file:{tmp_path}").put("spam", b"one", b"{}")
    assert version == hashlib.sha256(b"one").hexdigest()
    os.utime(tmp_path / "spam" / OBJECT, (1, 1))
    assert open_store(f"file:{tmp_path}").get("spam") == (b"one", version)


def test_addresses_are_absolute_relative_or_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my tasks"
    for address in (f"file:{folder}", "file:my tasks", f"file://{tmp_path}/my%20tasks"):
        store = open_store(address)
        assert store.address == f"file:{folder}"
        store.put("spam", b"one", b"{}")


@pytest.mark.parametrize("address", ["file:", "file://host/dir", "file:/a\x00b"])
def test_other_addresses_are_refused(address):
    with pytest.raises(SoftcallError, match="expected file:/dir"):
        open_store(address)


def test_nothing_is_left_but_the_two_files_and_others_may_read_them(tmp_path):
    previous = os.umask(0o022)
    try:
        for _ in range(2):
            open_store(f"file:{tmp_path}").put("spam", b"one", b"{}")
    finally:
        os.umask(previous)
    assert sorted(path.name for path in (tmp_path / "spam").iterdir()) == sorted([OBJECT, CONFIG])
    assert (tmp_path / "spam" / OBJECT).stat().st_mode & 0o777 == 0o644


def test_readers_see_whole_versions_while_it_is_replaced(tmp_path):
    store = open_store(f"file:{tmp_path}")
    contents = [bytes([number]) * 200_000 for number in range(2)]
    store.put("spam", contents[0], b"{}")
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            store.put("spam", contents[number % 2], b"{}")

    writer = threading.Thread(target=write)
    writer.start()
    seen = {store.get("spam")[0] for _ in range(300)}
    stop.set()
    writer.join()
    assert seen == set(contents)


def test_a_failed_write_leaves_the_old_version(tmp_path, monkeypatch):
    store = open_store(f"file:{tmp_path}")
    version = store.put("spam", b"one", b"{}")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file_store.os, "fsync", full)
    with pytest.raises(SoftcallError, match=r"cannot write .*/spam/adapter.*: No space left on device"):
        store.put("spam", b"two", b"{}")
    assert store.get("spam") == (b"one", version)
    assert sorted(path.name for path in (tmp_path / "spam").iterdir()) == sorted([OBJECT, CONFIG])


def test_a_folder_that_is_away_is_no_empty_store(tmp_path):
    store = open_store(f"file:{tmp_path}/unmounted")
    for use in (lambda: store.get("spam"), lambda: store.delete("spam"), store.list):
        with pytest.raises(SoftcallError, match=f"store file:{tmp_path}/unmounted: there is no such folder"):
            use()


def test_the_first_task_makes_the_folder(tmp_path):
    open_store(f"file:{tmp_path}/new").put("spam", b"one", b"{}")
    assert open_store(f"file:{tmp_path}/new").get("spam")[0] == b"one"


def test_a_locked_task_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(file_store, "LOCK_TIMEOUT_S", 0.1)
    store = open_store(f"file:{tmp_path}")
    store.put("spam", b"one", b"{}")
    other = os.open(tmp_path / "spam", os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SoftcallError, match="spam is locked by another writer"):
            store.put("spam", b"two", b"{}")
    finally:
        os.close(other)


def test_only_tasks_are_listed(tmp_path):
    store = open_store(f"file:{tmp_path}")
    store.put("acme/spam", b"one", b"{}")
    for folder in (".hidden", "Not A Task", "empty"):
        (tmp_path / folder).mkdir()
    for foreign in (OBJECT, f"Not A Task/{OBJECT}", "acme/notes.txt"):
        (tmp_path / foreign).write_bytes(b"")
    assert [task.task for task in store.tasks()] == ["acme/spam"]


def test_what_loops_or_is_no_file_is_passed_over(tmp_path):
    """As the server lists them (FolderListingTest)."""
    store = open_store(f"file:{tmp_path}")
    for task in ("acme/spam", "zz"):
        store.put(task, b"one", b"{}")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "self").symlink_to(".")
    (tmp_path / "acme/up").symlink_to("..")
    (tmp_path / "acme/again").symlink_to(tmp_path)
    for task, target in (("b", OBJECT), ("c", "gone"), ("d", "/dev/zero")):
        (tmp_path / task).mkdir()
        (tmp_path / task / OBJECT).symlink_to(target)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / OBJECT)
    (tmp_path / "folder" / OBJECT).mkdir(parents=True)
    assert [task.task for task in store.tasks()] == ["acme/spam", "zz"]
    for task in ("loop", "there", "nowhere", "b", "c", "folder", "loop/x", "acme/spam/x"):
        with pytest.raises(SoftcallError, match=f"has no task {task}"):
            store.get(task)
    with pytest.raises(SoftcallError, match=r"pipe cannot be read .*it is a named pipe; expected a file"):
        store.get("pipe")


def test_a_link_to_another_place_is_read_and_never_written(tmp_path):
    store, other = open_store(f"file:{tmp_path}/tasks"), open_store(f"file:{tmp_path}/other")
    other.put("spam", b"one", b"{}")
    store.put("ham", b"two", b"{}")
    (tmp_path / "tasks/linked").symlink_to(tmp_path / "other")
    assert [task.task for task in store.tasks()] == ["ham", "linked/spam"]
    assert store.get("linked/spam")[0] == b"one"
    for use in (
        lambda: store.put("linked/spam", b"new", b"{}"),
        lambda: store.put("linked", b"new", b"{}"),
        lambda: store.delete("linked/spam"),
    ):
        with pytest.raises(SoftcallError, match=r"tasks/linked is a symbolic link, through which nothing"):
            use()
    assert other.get("spam")[0] == b"one" and [task.task for task in other.tasks()] == ["spam"]


def test_an_object_that_is_a_link_is_replaced_and_its_target_stays(tmp_path):
    store = open_store(f"file:{tmp_path}/tasks")
    store.put("spam", b"one", b"{}")
    (tmp_path / "letter").write_bytes(b"mine")
    for name in (OBJECT, CONFIG):
        (tmp_path / "tasks/spam" / name).unlink()
        (tmp_path / "tasks/spam" / name).symlink_to(tmp_path / "letter")
    store.put("spam", b"two", b"{}")
    assert store.get("spam")[0] == b"two"
    assert (tmp_path / "letter").read_bytes() == b"mine"


def test_folders_are_bounded_too(tmp_path, monkeypatch):
    """Links that lead side by side to one another's inside make many ways of few folders."""
    monkeypatch.setattr(file_store, "MAX_LISTED_FOLDERS", 100)
    for level in range(10):
        (tmp_path / f"l{level}").mkdir()
        for way in ("a", "b"):
            (tmp_path / f"l{level}" / way).symlink_to(f"../l{level + 1}")
    with pytest.raises(SoftcallError, match="or 100 folders"):
        open_store(f"file:{tmp_path}").list()


def test_more_tasks_than_the_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(file_store, "MAX_LISTED_TASKS", 2)
    store = open_store(f"file:{tmp_path}")
    for name in ("a", "b", "c"):
        store.put(name, b"one", b"{}")
    with pytest.raises(SoftcallError, match="has more than 2 tasks, the limit"):
        store.list()


def test_folders_that_become_empty_go_with_the_task(tmp_path):
    store = open_store(f"file:{tmp_path}")
    store.put("acme/a/b", b"one", b"{}")
    store.put("acme/c", b"one", b"{}")
    store.delete("acme/a/b")
    assert sorted(path.name for path in (tmp_path / "acme").iterdir()) == ["c"]
    store.delete("acme/c")
    assert list(tmp_path.iterdir()) == []
