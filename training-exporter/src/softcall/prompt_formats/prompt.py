"""A prompt that other software trained: its vectors, and what its file says about them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from softcall.artifact.artifact import Artifact, check_prompt
from softcall.core.errors import SoftcallError

if TYPE_CHECKING:
    from softcall.artifact.task_description import TaskDescription
    from softcall.base.bundle import Bundle

_MAX_NAME = 500  # characters at the end of a path
_CACHED = re.compile(r"models--[^/]*?--([^/]+)/snapshots/")  # how the hub's cache names a model's folder
_STORED = re.compile(
    r"[-._](gguf|ggml|onnx|safetensors|hf|awq|gptq|int[48]|[48]bit|bf16|fp?(16|32)|i?q\d(_[\dkmslx]+)*)$"
)


@dataclass(frozen=True, eq=False)
class Prompt:
    """`vectors` float32 [tokens, hidden], finite; `SoftcallError` for any others.

    - `made_as`: the format in words, such as "PEFT PROMPT_TUNING"
    - `base_model`: the name of the model that it was trained for, where its file has one; a name is no proof
    - `details`: what else is worth keeping, as JSON: the version of its maker, the task of many that it is
    """

    vectors: np.ndarray
    made_as: str
    base_model: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):  # a value that overflows becomes infinite, which is refused later
            object.__setattr__(self, "vectors", np.ascontiguousarray(self.vectors, np.float32))
        check_prompt(self.vectors)

    def other_base(self, name: str) -> str | None:
        """Return the base that the prompt's file names, unless it is `name` or the file names none.

        Folders, organisations and weight formats (`-Q4_1`, `-GGUF`) are not compared.
        """
        if not self.base_model or _bare(self.base_model) == _bare(name):
            return None
        return self.base_model

    def require_hidden_size(self, bundle: "Bundle") -> None:
        """Raise `SoftcallError` unless the vectors have the hidden size of `bundle`'s base."""
        if self.vectors.shape[1] != bundle.hidden_size:
            made_for = f", made for {self.base_model}," if self.base_model else ""
            raise SoftcallError(
                f"the prompt{made_for} has hidden size {self.vectors.shape[1]};"
                f" base {bundle.name} has {bundle.hidden_size}"
            )

    def fold(self, bundle: "Bundle", description: "TaskDescription") -> Artifact:
        """Return the artifact of this prompt on `bundle`'s base, with the verbalizers' label head.

        Its logits are the language model's logits of these words behind the prompt (means over their tokens).
        """
        from softcall.artifact.label_head import verbalizer_head

        self.require_hidden_size(bundle)
        return Artifact(
            prompt=self.vectors,
            label_head=verbalizer_head(bundle.output_embedding, bundle.tokenizer(), description.words),
            label_bias=np.zeros(len(description.labels), np.float32),
            template=description.template,
            labels=description.labels,
            base_name=bundle.name,
            base_fingerprint=bundle.fingerprint,
            temperature=description.temperature,
            abstain_threshold=description.abstain_threshold,
            training={"verbalizers": description.words, "made_as": self.made_as, **self.details},
        )


def _bare(model: str) -> str:
    """Return a model's name without its organisation, folder and weight format."""
    model = model[-_MAX_NAME:]
    cached = _CACHED.search(model)
    name = (cached[1] if cached else model.rstrip("/").rpartition("/")[2]).casefold()
    while (shorter := _STORED.sub("", name)) != name:
        name = shorter
    return re.sub(r"[^a-z0-9]", "", name) or name
