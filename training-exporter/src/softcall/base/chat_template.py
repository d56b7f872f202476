"""The chat template of a base: a Jinja text that turns a conversation into the text that the model reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError
from softcall.core.printable import printable
from softcall.core.surrogates import has_half

CHAT_TEMPLATE_FILE = "chat_template.jinja"
MAX_CHAT_TEMPLATE_BYTES = 256 << 10
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class ChatTemplate:
    """A template's text, and the tokens that it may name `bos_token` and `eos_token`.

    The constructor raises `SoftcallError` for what is no Unicode text.
    """

    text: str
    bos_token: str | None = None
    eos_token: str | None = None

    def __post_init__(self):
        if not isinstance(self.text, str) or has_half(self.text):
            shown = printable(repr(self.text), SHOWN_CHARACTERS)
            raise SoftcallError(f"the chat template is {shown}; Unicode text is expected")

    def write(self, folder: Path) -> "StoredChatTemplate":
        """Write the text into a bundle's folder; return its place.

        Raises `SoftcallError` for a text that is too long.
        """
        data = self.text.encode()
        if len(data) > MAX_CHAT_TEMPLATE_BYTES:
            raise SoftcallError(
                f"the chat template has {len(data)} bytes; at most {MAX_CHAT_TEMPLATE_BYTES} are accepted"
            )
        (folder / CHAT_TEMPLATE_FILE).write_bytes(data)
        return StoredChatTemplate(
            CHAT_TEMPLATE_FILE, sha256(data).hexdigest(), self.bos_token, self.eos_token
        )


@dataclass(frozen=True)
class StoredChatTemplate:
    """Where a bundle has its chat template: a path inside the bundle, and the file's sha256."""

    file: str
    sha256: str
    bos_token: str | None
    eos_token: str | None

    def __post_init__(self):
        for field in ("bos_token", "eos_token"):
            token = getattr(self, field)
            if not (token is None or isinstance(token, str)):
                raise SoftcallError(f"chat_template.{field}: {token!r}; a text or null is expected")

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "StoredChatTemplate":
        """Read the fields of `base.json`."""
        return cls(record["file"], record["sha256"], record["bos_token"], record["eos_token"])

    def read(self, folder: Path) -> ChatTemplate:
        """Read the template of the bundle in `folder`; raises `SoftcallError` for another text."""
        file = folder / self.file
        data = read_bounded(file, MAX_CHAT_TEMPLATE_BYTES)
        if (found := sha256(data).hexdigest()) != self.sha256:
            raise SoftcallError(f"{file}: sha256 {found}, {self.sha256} is expected")
        return ChatTemplate(data.decode(), self.bos_token, self.eos_token)
