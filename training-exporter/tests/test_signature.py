"""Signed artifacts; the server's side of the same contract is in SignersTest."""

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)
from make_tiny import DEFAULT_FOLDER as TINY

from softcall.artifact.artifact import Artifact
from softcall.artifact.safetensors_file import SafetensorsFile
from softcall.artifact.signature import Signer
from softcall.core.errors import SoftcallError

ARTIFACT = (TINY / "tasks/sentiment/adapter_model.safetensors").read_bytes()
AT = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
SECRET = bytes(range(32))


@pytest.fixture
def signer(tmp_path):
    return Signer.open(pem(tmp_path, Ed25519PrivateKey.from_private_bytes(SECRET)))


def pem(folder, key):
    path = folder / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_a_signed_artifact_says_the_same(signer):
    signed = signer.sign(ARTIFACT, "acme/spam", AT)
    assert Artifact.from_bytes(signed).to_bytes() == Artifact.from_bytes(ARTIFACT).to_bytes()
    metadata = SafetensorsFile(signed).metadata
    assert metadata["softcall_task"] == "acme/spam"
    assert metadata["softcall_signed_at"] == "2026-01-31T09:30:00Z"


def test_the_signature_covers_every_byte_but_its_own(signer):
    signed = signer.sign(ARTIFACT, "acme/spam", AT)
    digits = SafetensorsFile(signed).metadata["softcall_signature"].encode()
    message = b"softcall prompt\0" + hashlib.sha256(signed.replace(digits, b"0" * 128)).digest()
    load_der_public_key(base64.b64decode(signer.public)).verify(bytes.fromhex(digits.decode()), message)


def test_what_was_signed_before_is_signed_anew(signer):
    first = signer.sign(ARTIFACT, "acme/spam", AT)
    assert signer.sign(first, "spam", AT) == signer.sign(ARTIFACT, "spam", AT)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"\xff" * 100])
def test_no_key(tmp_path, content):
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(SoftcallError, match="no private key"):
        Signer.open(path)


def test_a_key_of_another_kind(tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    with pytest.raises(SoftcallError, match="expected Ed25519"):
        Signer.open(pem(tmp_path, generate_private_key(SECP256R1())))
