"""The special tokens that an adapter's own tokenizer put around each text in training."""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from softcall.artifact.template import Template
from softcall.base.bundle import TOKENIZER_FILE, read_tokenizer
from softcall.core.errors import SoftcallError

_TEXT = "a text"


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens before and after a text, as strings, and their ids."""

    before: str = ""
    after: str = ""
    ids: tuple[int, ...] = ()

    @classmethod
    def of_folder(cls, folder: Path) -> "SpecialTokens":
        """Return those of the tokenizer in `folder`; none without one."""
        file = folder / TOKENIZER_FILE
        if not file.is_file():
            return cls()
        encoding = read_tokenizer(file).encode(_TEXT)
        own = [place for place, is_special in enumerate(encoding.special_tokens_mask) if not is_special]
        first, end = (own[0], own[-1] + 1) if own else (0, len(encoding.ids))
        return cls(
            "".join(encoding.tokens[:first]),
            "".join(encoding.tokens[end:]),
            tuple(encoding.ids[:first] + encoding.ids[end:]),
        )

    def before_text(self, template: Template, tokenizer: Tokenizer) -> Template:
        """Return `template` with these tokens around it, for a task that goes on behind its text.

        Raises `SoftcallError` if there are any after a text.
        """
        if self.after:
            raise SoftcallError(
                f"its tokenizer puts {self.after!r} after a text, and a task that writes text goes on there;"
                " remove it from the tokenizer.json if the prompt was trained without"
            )
        return self.around(template, tokenizer)

    def around(self, template: Template, tokenizer: Tokenizer) -> Template:
        """Return `template` with these tokens around it, unless it has them already.

        Raises `SoftcallError` if the base's `tokenizer` reads them as other ids.
        """
        if not self.ids or (template.source.startswith(self.before) and template.source.endswith(self.after)):
            return template
        read = tokenizer.encode(self.before + self.after, add_special_tokens=False).ids
        if tuple(read) != self.ids:
            raise SoftcallError(
                f"its tokenizer puts {self.before + self.after!r} (ids {list(self.ids)}) around a text;"
                f" the base's tokenizer reads that as {read}, so it belongs to another base"
            )
        return Template(self.before + template.source + self.after)
