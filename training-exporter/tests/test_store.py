"""What every store does alike: an S3 server and a folder pass the same tests."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from s3_server import ACCESS_KEY, SECRET_KEY

from softcall.core.errors import SoftcallError
from softcall.stores.addresses import open_store
from softcall.stores.store import CONFIG, OBJECT, Condition, check_task

_numbers = count()


@pytest.fixture(params=["s3", "s3 with a prefix", "file"])
def store(request, tmp_path, monkeypatch):
    """An empty store."""
    if request.param == "file":
        (tmp_path / "tasks").mkdir()
        return open_store(f"file:{tmp_path}/tasks")
    server = request.getfixturevalue("s3_server")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    bucket = f"bucket-{next(_numbers)}"
    server.client().create_bucket(Bucket=bucket)
    return open_store(f"s3://{bucket}" + ("/some/prefix" if "prefix" in request.param else ""), server.url)


def test_what_was_put_is_got_at_its_version(store):
    version = store.put("acme/spam", b"one", b"{}")
    assert store.get("acme/spam") == (b"one", version)


def test_another_content_is_another_version_and_the_same_content_the_same(store):
    first = store.put("spam", b"one", b"{}")
    second = store.put("spam", b"two", b"{}")
    assert first != second
    assert store.put("spam", b"one", b"{}") == first
    assert store.get("spam") == (b"one", first)


def test_a_task_is_created_only_once(store):
    store.put("spam", b"one", b"{}", Condition.ABSENT)
    with pytest.raises(
        SoftcallError, match=r"task spam is at version .*; expected no such task, so nothing was"
    ):
        store.put("spam", b"two", b"{}", Condition.ABSENT)
    assert store.get("spam")[0] == b"one"


def test_a_task_is_replaced_only_at_the_expected_version(store):
    first = store.put("spam", b"one", b"{}")
    second = store.put("spam", b"two", b"{}", first)
    with pytest.raises(SoftcallError, match=f"task spam is at version {second}; expected version {first}"):
        store.put("spam", b"three", b"{}", first)
    assert store.get("spam") == (b"two", second)


def test_a_task_that_is_not_stored_has_no_version_to_replace(store):
    with pytest.raises(SoftcallError, match="task spam is not stored; expected version 0123"):
        store.put("spam", b"one", b"{}", "0123")
    assert store.list().tasks == ()


def test_of_many_writers_at_once_one_wins(store):
    first = store.put("spam", b"base", b"{}")

    def write(number):
        try:
            return store.put("spam", b"%d" % number, b"{}", first)
        except SoftcallError:
            return None

    with ThreadPoolExecutor(8) as pool:
        written = [version for version in pool.map(write, range(8)) if version is not None]
    assert len(written) == 1
    assert store.get("spam")[1] == written[0]


def test_a_removed_task_is_gone(store):
    store.put("spam", b"one", b"{}")
    store.put("spam/japanese", b"two", b"{}")
    store.delete("spam")
    with pytest.raises(SoftcallError, match=f"store {store.address} has no task spam"):
        store.get("spam")
    assert [task.task for task in store.list().tasks] == ["spam/japanese"]
    with pytest.raises(SoftcallError, match="has no task spam"):
        store.delete("spam")


def test_tasks_are_listed_page_by_page_in_the_order_of_their_keys(store):
    names = ["a", "a-b", "a.b", "a/b", "a0", "b/c/d", "zz"]
    versions = {name: store.put(name, name.encode(), b"{}") for name in names}
    expected = sorted(names, key=lambda name: f"{name}/{OBJECT}")
    listed, page = [], store.list(limit=2)
    while page.next is not None:
        assert len(page.tasks) == 2
        listed += page.tasks
        page = store.list(page.next, limit=2)
    listed += page.tasks
    assert [task.task for task in listed] == expected == [task.task for task in store.tasks()]
    assert {task.task: task.version for task in listed} == versions
    assert [task.bytes for task in listed] == [len(name) for name in expected]
    assert all(abs(task.modified - datetime.now(UTC)) < timedelta(minutes=1) for task in listed)


def test_a_page_that_ends_with_the_last_task_has_no_next(store):
    for name in ("a", "b"):
        store.put(name, b"one", b"{}")
    assert store.list(limit=2).next is None


def test_too_many_bytes_are_neither_written_nor_read(store, monkeypatch):
    store.put("large", bytes(1025), b"{}")
    monkeypatch.setenv("SOFTCALL_STORE_MAX_ARTIFACT_BYTES", "1K")
    with pytest.raises(SoftcallError, match="task large has 1025 bytes; servers accept at most 1024"):
        store.get("large")
    with pytest.raises(SoftcallError, match=r"task spam has 1025 bytes; .*softcall.store.max-artifact-bytes"):
        store.put("spam", bytes(1025), b"{}")
    assert [task.task for task in store.tasks()] == ["large"]


@pytest.mark.parametrize(
    "name",
    ["", "../x", "a//b", "/a", "a/", "a/../b", ".a", "A", "é", "a b", "a\n", "a\x00", "a" * 201, "x" * 4000],
)
def test_other_names_never_reach_a_store(store, name):
    for use in (store.get, store.delete, lambda task: store.put(task, b"one", b"{}")):
        with pytest.raises(SoftcallError, match=r"task name .*: expected segments of"):
            use(name)
    assert store.list().tasks == ()


@pytest.mark.parametrize("name", ["a", "0", "banking77", "acme/sentiment", "a.b-c_d/e..", "a" * 200])
def test_task_names(name):
    assert check_task(name) == name


def test_the_configuration_lies_beside_the_object(store, tmp_path, s3_server):
    store.put("acme/spam", b"one", json.dumps({"peft_type": "PROMPT_TUNING"}).encode())
    if store.address.startswith("file:"):
        config = (tmp_path / "tasks/acme/spam" / CONFIG).read_bytes()
    else:
        bucket, _, prefix = store.address.removeprefix("s3://").partition("/")
        key = f"{prefix}/acme/spam/{CONFIG}".removeprefix("/")
        config = s3_server.client().get_object(Bucket=bucket, Key=key)["Body"].read()
    assert json.loads(config) == {"peft_type": "PROMPT_TUNING"}


@pytest.mark.parametrize("address", ["", "tasks", "/tasks", "http://host/x", "S3://bucket", "gs://bucket"])
def test_other_addresses_are_refused(address):
    with pytest.raises(SoftcallError, match=r"expected s3://bucket/prefix or file:/dir"):
        open_store(address)
