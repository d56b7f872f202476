"""Signatures of artifacts, by which a server knows who made a prompt (docs/task-artifact.md)."""

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from softcall.artifact.safetensors_file import with_metadata
from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError

MAX_KEY_BYTES = 10_000
_PURPOSE = b"softcall prompt\0"
_UNSIGNED = "0" * 128  # the placeholder of a signature's hexadecimal digits


class Signer:
    """An Ed25519 private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """`key` signs."""
        self._key = key

    @classmethod
    def open(cls, path: Path) -> "Signer":
        """Read the key of a PEM file without a password; raise `SoftcallError` if there is none."""
        try:
            key = load_pem_private_key(read_bounded(path, MAX_KEY_BYTES), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SoftcallError(f"{path} holds no private key that can be read ({error})") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise SoftcallError(
                f"{path} holds a key of another kind;"
                " expected Ed25519, as `openssl genpkey -algorithm ed25519` makes it"
            )
        return cls(key)

    @property
    def public(self) -> str:
        """The public key as `softcall.store.signed-by` expects it: base64 of its X.509 form."""
        form = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(form).decode()

    def sign(self, artifact: bytes, task: str, at: datetime) -> bytes:
        """Sign the artifact for this task at this time (to the second); replace an earlier signature."""
        unsigned = with_metadata(
            artifact,
            {
                "softcall_task": task,
                "softcall_signed_at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "softcall_signature": _UNSIGNED,
            },
        )
        before, _, after = unsigned.partition(_UNSIGNED.encode())
        if _UNSIGNED.encode() in after:
            raise SoftcallError(
                "the artifact has 128 zeros of its own where only its signature may have them"
            )
        signature = self._key.sign(_PURPOSE + hashlib.sha256(unsigned).digest())
        return before + signature.hex().encode() + after
