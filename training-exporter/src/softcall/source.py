"""Where a base comes from: a Hugging Face folder, a GGUF file, or the default."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from softcall import default_base
from softcall.architectures import require_architecture
from softcall.bundle import DESCRIPTION_FILE, plain_tokenizer
from softcall.errors import SoftcallError
from softcall.fingerprint import fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class LoadedBase:
    """A base in memory: float32, in evaluation mode, no parameter requires gradients."""

    name: str
    model: "PreTrainedModel"
    tokenizer: Tokenizer
    fingerprint: str


@dataclass(frozen=True)
class Source:
    """A model on disk; `path` is a folder in Hugging Face's layout or a GGUF file."""

    name: str
    path: Path

    @classmethod
    def resolve(cls, path: str | Path | None) -> "Source":
        """Find a model; None is the default base, fetched into the cache on first use.

        Raises `SoftcallError` for a path that is neither a Hugging Face folder nor a GGUF file.
        """
        if path is None:
            return cls(default_base.NAME, default_base.fetch())
        found = Path(path)
        if found.is_file():
            return cls._gguf(found)
        if not found.is_dir():
            raise SoftcallError(f"{found} does not exist; a Hugging Face folder or a .gguf file is expected")
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
            if stream.read(4) != b"GGUF":
                raise SoftcallError(
                    f"{file} is not a GGUF file; a Hugging Face folder or a .gguf file is expected"
                )
        is_default = file.stat().st_size == default_base.GGUF_BYTES and (
            default_base.sha256_of(file) == default_base.GGUF_SHA256
        )
        return cls(default_base.NAME if is_default else file.stem, file)

    @property
    def is_gguf(self) -> bool:
        """Whether the source is a GGUF file rather than a folder."""
        return self.path.is_file()

    def config(self) -> Any:
        """Read the configuration alone; raises `SoftcallError` for an architecture that is not accepted."""
        from transformers import AutoConfig
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

        if self.is_gguf:
            require_architecture(
                _GGUF_ARCHITECTURES.get(family := gguf_architecture(self.path), family), str(self.path)
            )
        else:
            record = json.loads((self.path / "config.json").read_text("utf-8"))
            named = (
                record.get("architectures")
                or [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(record.get("model_type"))]
            )[0]
            require_architecture(named, str(self.path))
        return AutoConfig.from_pretrained(**self._location())

    def load(self) -> LoadedBase:
        """Load model and tokenizer with PyTorch; quantised weights are dequantised.

        Raises `SoftcallError` where PyTorch is not installed, or for a model that is not accepted.
        """
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise SoftcallError(
                f"reading a model needs PyTorch and transformers ({error.name} is missing): "
                "pip install 'softcall[torch]'"
            ) from error
        self.config()
        try:
            model = AutoModelForCausalLM.from_pretrained(**self._location(), dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(**self._location())
        except (OSError, ValueError, RuntimeError) as error:
            raise SoftcallError(f"{self.path}: {error}") from error
        require_architecture(type(model).__name__, str(self.path))
        # Dequantised already; left in place they make `save_pretrained` refuse.
        model.hf_quantizer = None
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.eval().requires_grad_(False)
        parameters = {name: parameter.numpy() for name, parameter in model.named_parameters()}
        return LoadedBase(
            self.name, model, plain_tokenizer(tokenizer.backend_tokenizer), fingerprint(parameters)
        )

    def _location(self) -> dict[str, Any]:
        folder = self.path.parent if self.is_gguf else self.path
        location = {"pretrained_model_name_or_path": str(folder), "local_files_only": True}
        return location | ({"gguf_file": self.path.name} if self.is_gguf else {})


_GGUF_ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}


def gguf_architecture(file: Path) -> str:
    """Return a GGUF file's `general.architecture`; raises `SoftcallError` for a file that cannot be read."""
    from gguf import GGUFReader

    try:
        field = GGUFReader(file).get_field("general.architecture")
        return str(field.contents())
    except Exception as error:  # the reader fails in many ways on a damaged file
        raise SoftcallError(f"{file} is not a readable GGUF file: {error}") from error
