"""Everything that goes wrong with an S3 server is told apart."""

import socket
import time

import pytest
from s3_server import ACCESS_KEY, SECRET_KEY

from softcall.core.errors import SoftcallError
from softcall.stores import s3_store
from softcall.stores.addresses import open_store
from softcall.stores.store import OBJECT

BUCKET = "errors"


@pytest.fixture(scope="module")
def bucket(s3_server):
    s3_server.client().create_bucket(Bucket=BUCKET)
    return s3_server


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")


def uses(address, url):
    """Every way to use the store, as functions."""
    store = open_store(address, url)
    return [
        lambda: store.get("spam"),
        lambda: store.put("spam", b"one", b"{}"),
        lambda: store.put("spam", b"one", b"{}", "0123"),
        lambda: store.delete("spam"),
        lambda: store.list(),
    ]


def messages(address, url):
    for use in uses(address, url):
        with pytest.raises(SoftcallError) as failed:
            use()
        yield str(failed.value)


def test_a_wrong_secret(bucket, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for message in messages(f"s3://{BUCKET}", bucket.url):
        assert message.startswith(f"store s3://{BUCKET}: the credentials were refused (403 ")


def test_an_unknown_key(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
    for message in messages(f"s3://{BUCKET}", bucket.url):
        assert "the credentials were refused (403 " in message


def test_no_credentials(bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for message in messages(f"s3://{BUCKET}", bucket.url):
        assert "no usable credentials (Unable to locate credentials); set AWS_ACCESS_KEY_ID and" in message


def test_a_profile_that_does_not_exist(bucket, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SoftcallError, match="nobody"):
        open_store(f"s3://{BUCKET}", bucket.url)


def test_a_missing_bucket(bucket):
    for message in messages("s3://no-such-bucket", bucket.url):
        assert message == (
            f"store s3://no-such-bucket: {bucket.url} has no bucket no-such-bucket; create it first"
        )


def test_an_endpoint_where_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for message in messages(f"s3://{BUCKET}", url):
            assert message.startswith(f"store s3://{BUCKET}: {url} cannot be reached (")


def test_a_server_that_never_answers(monkeypatch):
    monkeypatch.setattr(s3_store, "READ_TIMEOUT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(SoftcallError, match=f"{url} cannot be reached"):
            open_store(f"s3://{BUCKET}", url).get("spam")
        assert time.monotonic() - started < 10


def test_an_endpoint_that_is_no_url():
    with pytest.raises(SoftcallError, match="Invalid endpoint: nonsense"):
        open_store(f"s3://{BUCKET}", "nonsense")


def test_the_endpoint_of_the_environment(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    store = open_store(f"s3://{BUCKET}/environment")
    store.put("spam", b"one", b"{}")
    assert [task.task for task in open_store(f"s3://{BUCKET}/environment", bucket.url).tasks()] == ["spam"]


def test_a_version_is_the_etag_without_quotes(bucket):
    store = open_store(f"s3://{BUCKET}/etag", bucket.url)
    version = store.put("spam", b"one", b"{}")
    answer = bucket.client().head_object(Bucket=BUCKET, Key=f"etag/spam/{OBJECT}")
    assert answer["ETag"] == f'"{version}"'


def test_one_get_fetches_a_task(bucket):
    store = open_store(f"s3://{BUCKET}/requests", bucket.url)
    store.put("spam", b"one", b"{}")
    store.get("spam")
    made = bucket.requests(f"/{BUCKET}/requests/", 3)
    assert made[-1] == ("GET", f"/{BUCKET}/requests/spam/{OBJECT}", 200)
    assert [entry.method for entry in made] == ["PUT", "PUT", "GET"]


def test_foreign_objects_are_looked_past_within_bounds(bucket, monkeypatch):
    monkeypatch.setattr(s3_store, "MAX_LIST_REQUESTS", 2)
    store = open_store(f"s3://{BUCKET}/foreign", bucket.url)
    list_page = store._client.list_objects_v2
    monkeypatch.setattr(store._client, "list_objects_v2", lambda **asked: list_page(**asked, MaxKeys=3))
    for number in range(8):
        bucket.client().put_object(Bucket=BUCKET, Key=f"foreign/notes-{number}.txt", Body=b"")
    bucket.client().put_object(Bucket=BUCKET, Key=f"foreign/Not A Task/{OBJECT}", Body=b"")
    store.put("spam", b"one", b"{}")
    page = store.list()
    assert page.tasks == ()
    assert page.next is not None
    assert [task.task for task in store.tasks()] == ["spam"]


@pytest.mark.parametrize(
    "address", ["s3://", "s3:bucket", "s3://ab", "s3://Bucket/x", "s3://bucket_x", "s3:///x"]
)
def test_other_addresses_are_refused(address):
    with pytest.raises(SoftcallError, match="expected s3://bucket/prefix"):
        open_store(address)
