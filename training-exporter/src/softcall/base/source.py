"""Sources of base models: a Hugging Face folder, a GGUF file, or the default base."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from softcall.base import default_base
from softcall.base.architectures import Architecture, architecture_of, require_architecture
from softcall.base.bundle import DESCRIPTION_FILE, plain_tokenizer
from softcall.base.chat_template import ChatTemplate
from softcall.base.fingerprint import fingerprint
from softcall.base.identity import BaseIdentity, KvShape
from softcall.core.bounded_file import read_json_object, require_file
from softcall.core.errors import SoftcallError
from softcall.core.first_bytes import GGUF, LOOKED_AT, tell
from softcall.core.regular_file import file_sha256

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class LoadedBase:
    """A base in memory: float32, in evaluation mode, no parameter requires gradients."""

    name: str
    model: "PreTrainedModel"
    tokenizer: Tokenizer
    fingerprint: str
    chat_template: ChatTemplate | None = None

    @property
    def architecture(self) -> Architecture:
        """Where the model keeps its parts."""
        return architecture_of(self.model)

    @property
    def positions(self) -> int:
        """How many positions the model has."""
        return self.architecture.positions_of(self.model.config)

    @property
    def identity(self) -> BaseIdentity:
        """What a prompt must fit."""
        config = self.model.config
        return BaseIdentity(
            self.name,
            self.fingerprint,
            config.hidden_size,
            KvShape.of_config(config),
            self.positions,
        )


@dataclass(frozen=True)
class Source:
    """A model on disk; `path` is a folder in Hugging Face's layout or a GGUF file."""

    name: str
    path: Path

    @classmethod
    def resolve(cls, path: str | Path | None) -> "Source":
        """Find a model; None stands for the default base, which is fetched on first use.

        Raises `SoftcallError` for a path that is neither a Hugging Face folder nor a GGUF file.
        """
        if path is None:
            return cls(default_base.NAME, default_base.fetch())
        found = Path(path)
        if found.is_file():
            return cls._gguf(found)
        if not found.is_dir():
            what = "is neither a folder nor a file" if found.exists() else "does not exist"
            raise SoftcallError(f"{found} {what}; a Hugging Face folder or a .gguf file is expected")
        if (found / DESCRIPTION_FILE).is_file():
            raise SoftcallError(
                f"{found} is a base bundle, which holds the exported graph only; "
                "the Hugging Face folder or .gguf file that it was made from is expected"
            )
        if (found / "adapter_config.json").is_file():
            raise SoftcallError(f"{found} is a PEFT adapter; the model that it belongs to is expected")
        if not (found / "config.json").is_file():
            raise SoftcallError(
                f"{found} has no config.json; a Hugging Face folder or a .gguf file is expected"
            )
        return cls(found.resolve().name, found)

    @classmethod
    def _gguf(cls, file: Path) -> "Source":
        with file.open("rb") as stream:
            first = stream.read(LOOKED_AT)
        if not first.startswith(b"GGUF"):
            other = tell(first, accepted=(GGUF,))
            raise SoftcallError(
                f"{file} is {other or 'not a GGUF file'}; a Hugging Face folder or a .gguf file is expected"
            )
        is_default = file.stat().st_size == default_base.GGUF_BYTES and (
            file_sha256(file) == default_base.GGUF_SHA256
        )
        return cls(default_base.NAME if is_default else file.stem, file)

    @property
    def is_gguf(self) -> bool:
        """Whether the source is a GGUF file rather than a folder."""
        return self.path.is_file()

    @cached_property
    def config(self) -> Any:
        """The transformers configuration; raises `SoftcallError` for an architecture that is not accepted."""
        if not self.is_gguf:
            self._require_folder_architecture()
        from transformers import AutoConfig

        try:
            with _refusals(self.path):
                config = AutoConfig.from_pretrained(**self._location())
        except SoftcallError:
            if self.is_gguf:  # the header, which takes seconds to read, names the architecture
                require_architecture(gguf_architecture(self.path), str(self.path))
            raise
        require_architecture(config.model_type, str(self.path))
        return config

    def load(self) -> LoadedBase:
        """Load model and tokenizer with PyTorch; quantised weights are dequantised.

        Raises `SoftcallError` where PyTorch is missing, and for a model that is not accepted or incomplete.
        """
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise SoftcallError(
                f"reading a model needs PyTorch and transformers ({error.name} is missing): "
                "pip install 'softcall[torch]'"
            ) from error
        self._require_files()
        with _refusals(self.path):
            model, loading = AutoModelForCausalLM.from_pretrained(
                **self._location(), config=self.config, dtype=torch.float32, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(**self._location())
        if absent := sorted(loading["missing_keys"]):
            raise SoftcallError(
                f"{self.path} lacks {len(absent)} of the model's parameters, such as {absent[0]}"
            )
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise SoftcallError(
                f"{self.path} has no tokenizer.json, and its tokenizer cannot be turned into one"
            )
        # Dequantised already; left in place they make `save_pretrained` refuse.
        model.hf_quantizer = None
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.eval().requires_grad_(False)
        parameters = {name: parameter.numpy() for name, parameter in model.named_parameters()}
        return LoadedBase(
            self.name,
            model,
            plain_tokenizer(tokenizer.backend_tokenizer),
            fingerprint(parameters),
            self._chat_template(tokenizer),
        )

    def _chat_template(self, tokenizer: "PreTrainedTokenizerBase") -> ChatTemplate | None:
        template = tokenizer.chat_template
        if isinstance(template, dict):  # of several named ones
            template = template.get("default")
        if template is None:
            return None
        names = (tokenizer.bos_token, tokenizer.eos_token)
        if self.is_gguf:
            # transformers gives a tokenizer of a GGUF file other special tokens than the file names.
            ids = (self.config.bos_token_id, self.config.eos_token_id)
            names = (None if token is None else tokenizer.convert_ids_to_tokens(token) for token in ids)
        try:
            return ChatTemplate(template, *names)
        except SoftcallError as error:
            raise SoftcallError(f"{self.path}: {error}") from None

    def _require_files(self) -> None:
        """Refuse named pipes, on which the libraries would block, and Git LFS pointers."""
        if self.is_gguf:
            return
        for file in sorted(self.path.iterdir()):
            if file.suffix in _READ_SUFFIXES and not file.is_dir():
                require_file(file)

    def _require_folder_architecture(self) -> None:
        record = read_json_object(self.path / "config.json", MAX_CONFIG_BYTES)
        with _refusals(self.path):
            named = (record.get("architectures") or [record.get("model_type")])[0]
        require_architecture(named, str(self.path))

    def _location(self) -> dict[str, Any]:
        folder = self.path.parent if self.is_gguf else self.path
        location = {"pretrained_model_name_or_path": str(folder), "local_files_only": True}
        return location | ({"gguf_file": self.path.name} if self.is_gguf else {})


MAX_CONFIG_BYTES = 16 << 20
_READ_SUFFIXES = (".json", ".safetensors", ".bin", ".model", ".jinja", ".txt")


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Turn the libraries' errors about unreadable files into a `SoftcallError` that names `path`."""
    try:
        yield
    except Exception as error:  # transformers, safetensors and tokenizers share no type of error
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise SoftcallError(f"{path} cannot be read as a model: {reason}") from error


def gguf_architecture(file: Path) -> str:
    """Return a GGUF file's `general.architecture`; raises `SoftcallError` for a file that cannot be read."""
    from gguf import GGUFReader

    try:
        return str(GGUFReader(file).get_field("general.architecture").contents())
    except Exception as error:  # the reader fails in many ways on a damaged file
        raise SoftcallError(f"{file} is not a readable GGUF file: {error}") from error
