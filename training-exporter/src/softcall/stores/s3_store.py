"""A bucket of any S3-compatible server as a store. A task's version is its ETag without the quotes."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from softcall.artifact.bounds import max_artifact_bytes
from softcall.core.errors import SoftcallError
from softcall.stores.store import (
    CONFIG,
    OBJECT,
    PAGE_TASKS,
    Condition,
    Page,
    Store,
    StoredTask,
    check_task,
    valid_task,
)

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
ATTEMPTS = 3
MAX_LIST_REQUESTS = 20  # bounds the foreign objects that one page skips
MAX_PREFIX_CHARACTERS = 500
SHA256 = "softcall-sha256"  # in the object's metadata; servers verify the content with it

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/?")
_DENIED = {
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "401",
    "403",
}


class S3Store(Store):
    """Tasks below `prefix` in `bucket`."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        """`client` is boto3's; `prefix` is empty or ends in `/`."""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    @classmethod
    def open(cls, address: str, endpoint_url: str | None = None) -> "S3Store":
        """Return the store at `s3://bucket/prefix`; credentials and region come from where AWS tools look."""
        matched = _ADDRESS.fullmatch(address)
        if matched is None or len(matched[2] or "") > MAX_PREFIX_CHARACTERS:
            raise SoftcallError(
                f"store {address!r}: expected s3://bucket/prefix,"
                " with a bucket of 3 to 63 characters a-z 0-9 . - and a short prefix"
            )
        try:
            client = _client(endpoint_url)
        except (BotoCoreError, ValueError) as error:
            raise SoftcallError(f"store {address}: {error}") from None
        return cls(client, matched[1], f"{matched[2]}/" if matched[2] else "")

    @property
    def address(self) -> str:
        """The address of the store, as users write it."""
        return f"s3://{self._bucket}/{self._prefix}".removesuffix("/")

    def get(self, task: str) -> tuple[bytes, str]:
        """See `Store.get`."""
        key = self._key(check_task(task), OBJECT)
        with self._asking(task):
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            with answer["Body"] as body:
                self._check_size(task, answer.get("ContentLength", 0))  # which a proxy may leave out
                data = body.read(max_artifact_bytes() + 1)
                self._check_size(task, len(data))
                return data, _unquoted(answer["ETag"])

    def put(self, task: str, data: bytes, config: bytes, expected: str | Condition = Condition.NONE) -> str:
        """See `Store.put`."""
        key = self._key(check_task(task), OBJECT)
        self._check_size(task, len(data))
        condition = {}
        if expected is Condition.ABSENT:
            condition = {"IfNoneMatch": "*"}
        elif isinstance(expected, str):
            condition = {"IfMatch": f'"{expected}"'}
        with self._asking(task):
            try:
                answer = self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=data,
                    Metadata={SHA256: hashlib.sha256(data).hexdigest()},
                    **condition,
                )
            except ClientError as error:
                # 412; 409 after a concurrent conditional write; 404 if there is nothing to match.
                if condition and _code(error) in {
                    "PreconditionFailed",
                    "ConditionalRequestConflict",
                    "NoSuchKey",
                }:
                    raise self._not_as_expected(task, expected, self._version(key)) from None
                raise
            self._client.put_object(
                Bucket=self._bucket, Key=self._key(task, CONFIG), Body=config, ContentType="application/json"
            )
        return _unquoted(answer["ETag"])

    def delete(self, task: str) -> None:
        """See `Store.delete`."""
        key = self._key(check_task(task), OBJECT)
        with self._asking(task):
            if self._version(key) is None:
                raise self._missing(task)
            self._client.delete_object(Bucket=self._bucket, Key=key)
            self._client.delete_object(Bucket=self._bucket, Key=self._key(task, CONFIG))

    def list(self, after: str = "", limit: int = PAGE_TASKS) -> Page:
        """See `Store.list`."""
        tasks: list[StoredTask] = []
        key = after
        with self._asking("tasks"):
            for _ in range(MAX_LIST_REQUESTS):
                answer = self._client.list_objects_v2(
                    Bucket=self._bucket, Prefix=self._prefix, StartAfter=self._prefix + key
                )
                for entry in answer.get("Contents", ()):
                    task = self._described(entry)
                    if task is not None and len(tasks) == limit:
                        return Page(tuple(tasks), key)
                    key = entry["Key"].removeprefix(self._prefix)
                    if task is not None:
                        tasks.append(task)
                if not answer["IsTruncated"]:
                    return Page(tuple(tasks), None)
        return Page(tuple(tasks), key)

    def _described(self, entry: dict[str, Any]) -> StoredTask | None:
        """Return None for an object that belongs to no task."""
        task, slash, name = entry["Key"].removeprefix(self._prefix).rpartition("/")
        if not slash or name != OBJECT or not valid_task(task):
            return None
        return StoredTask(task, _unquoted(entry["ETag"]), entry["Size"], entry["LastModified"])

    def _key(self, task: str, name: str) -> str:
        return f"{self._prefix}{task}/{name}"

    def _version(self, key: str) -> str | None:
        try:
            return _unquoted(self._client.head_object(Bucket=self._bucket, Key=key)["ETag"])
        except ClientError as error:
            if _code(error) != "404":
                raise
            self._client.head_bucket(Bucket=self._bucket)  # a HEAD response cannot name a missing bucket
            return None

    @contextmanager
    def _asking(self, task: str) -> Iterator[None]:
        """Turn errors of the client into messages that distinguish store, credentials and task."""
        try:
            yield
        except ClientError as error:
            raise self._failure(task, error) from None
        except (
            NoCredentialsError,
            PartialCredentialsError,
            CredentialRetrievalError,
            TokenRetrievalError,
        ) as error:
            raise SoftcallError(
                f"store {self.address}: no usable credentials ({error});"
                " set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            ) from None
        except (ConnectionError, HTTPClientError) as error:
            raise SoftcallError(
                f"store {self.address}: {self._client.meta.endpoint_url} cannot be reached ({error})"
            ) from None
        except BotoCoreError as error:
            raise SoftcallError(f"store {self.address}: {error}") from None

    def _failure(self, task: str, error: ClientError) -> SoftcallError:
        code = _code(error)
        if code == "NoSuchKey":
            return self._missing(task)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "an error")
        said = f"{status} {code}: {error.response.get('Error', {}).get('Message', '')}".strip()
        if code == "NoSuchBucket" or (code == "404" and error.operation_name == "HeadBucket"):
            return SoftcallError(
                f"store {self.address}: {self._client.meta.endpoint_url} has no bucket {self._bucket};"
                " create it first"
            )
        if code in _DENIED:
            return SoftcallError(
                f"store {self.address}: the credentials were refused ({said});"
                " check the keys and what their policy allows"
            )
        return SoftcallError(f"store {self.address} answered {said} to {error.operation_name}")


def _client(endpoint_url: str | None) -> Any:
    session = boto3.session.Session()

    def build(**options: Any) -> Any:
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            # S3-compatible servers lack the newer checksums, and mostly buckets as host names.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": options.pop("addressing_style")},
        )
        return session.client("s3", config=config, **options)

    client = build(endpoint_url=endpoint_url, addressing_style="auto")
    if ".amazonaws.com" in client.meta.endpoint_url:
        return client
    region = session.region_name or "us-east-1"  # the signature needs a region
    return build(endpoint_url=client.meta.endpoint_url, region_name=region, addressing_style="path")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _unquoted(etag: str) -> str:
    return etag.strip('"')
