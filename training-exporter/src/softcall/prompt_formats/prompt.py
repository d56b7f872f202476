"""A prompt that other software trained: its vectors, and what its file says about them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from softcall.artifact.arrays import check_prompt, stored_type
from softcall.artifact.artifact import Artifact, ClassificationArtifact, GenerationArtifact
from softcall.artifact.generation import Generation
from softcall.artifact.metadata import PromptType
from softcall.base.identity import BaseIdentity
from softcall.core.errors import SoftcallError
from softcall.prompt_formats.head import Head
from softcall.prompt_formats.special_tokens import SpecialTokens

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
    """`vectors` [tokens, width], finite, float32 (KV prompts that are stored so: float16).

    - `made_as`: the format in words, such as "PEFT PROMPT_TUNING"
    - `prompt_type`: soft or KV; None for a bare tensor, which is what its width says
    - `base_model`: the name of the model that it was trained for, where its file has one; a name is no proof
    - `details`: what else is worth keeping, as JSON: the version of its maker, the task of many that it is
    - `head`: the label head that was trained beside it
    - `special_tokens`: those that stood around each text in training

    The constructor raises `SoftcallError` for other vectors.
    """

    vectors: np.ndarray
    made_as: str
    prompt_type: PromptType | None = None
    base_model: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    head: Head | None = None
    special_tokens: SpecialTokens = SpecialTokens()  # noqa: RUF009 (immutable)

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):  # a value that overflows becomes infinite, which is refused later
            vectors = np.ascontiguousarray(self.vectors, stored_type(self.prompt_type, self.vectors))
        object.__setattr__(self, "vectors", vectors)
        check_prompt(self.vectors)

    def other_base(self, name: str) -> str | None:
        """Return the base that the prompt's file names, unless it is `name` or the file names none.

        Folders, organisations and weight formats (`-Q4_1`, `-GGUF`) are not compared.
        """
        if not self.base_model or _bare(self.base_model) == _bare(name):
            return None
        return self.base_model

    def type_on(self, base: BaseIdentity) -> PromptType:
        """Return the type of the prompt on `base`.

        Raises `SoftcallError` if the vectors are not of the base's hidden size, or a KV prompt's width.
        """
        width, prompt_type = self.vectors.shape[1], self.prompt_type
        made_for = f", made for {self.base_model}," if self.base_model else ""
        if prompt_type is None:
            prompt_type = PromptType.KV if width == base.kv.width != base.hidden_size else PromptType.SOFT
        if prompt_type == PromptType.KV:
            base.kv.require_width(width, f"the KV prompt{made_for}")
        elif width != base.hidden_size:
            raise SoftcallError(
                f"the prompt{made_for} has hidden size {width}; base {base.name} has {base.hidden_size}"
            )
        return prompt_type

    def fold(self, bundle: "Bundle", description: "TaskDescription | Generation") -> Artifact:
        """Return the artifact of this prompt on `bundle`'s base, of a task that classifies or writes text."""
        artifact = (
            self._writer(bundle, description)
            if isinstance(description, Generation)
            else self._classifier(bundle, description)
        )
        artifact.require_base(bundle.identity)
        return artifact

    def _writer(self, bundle: "Bundle", generation: Generation) -> GenerationArtifact:
        if self.head is not None:
            raise SoftcallError("it has a label head, which a task that writes text does not read")
        if generation.is_chat and bundle.chat_template_location is None:
            raise SoftcallError(f"base {bundle.name} has no chat template; give a template")
        if generation.template is not None:
            template = self.special_tokens.before_text(generation.template, bundle.tokenizer())
            generation = replace(generation, template=template)
        base = bundle.identity
        return GenerationArtifact(
            prompt=self.vectors,
            prompt_type=self.type_on(base),
            generation=generation,
            base_name=base.name,
            base_fingerprint=base.fingerprint,
            training={"made_as": self.made_as, **self.details},
        )

    def _classifier(self, bundle: "Bundle", description: "TaskDescription") -> ClassificationArtifact:
        """Return the artifact with the prompt's own label head or the verbalizers'.

        The logits of a verbalizers' head are the language model's logits of these words behind the prompt
        (means over their tokens).
        """
        base = bundle.identity
        return ClassificationArtifact(
            prompt=self.vectors,
            prompt_type=self.type_on(base),
            template=self.special_tokens.around(description.template, bundle.tokenizer()),
            labels=description.labels,
            kind=description.kind,
            thresholds=description.label_thresholds,
            base_name=base.name,
            base_fingerprint=base.fingerprint,
            temperature=description.temperature,
            abstain_threshold=description.abstain_threshold,
            **self._head(bundle, description),
        )

    def _head(self, bundle: "Bundle", description: "TaskDescription") -> Mapping[str, Any]:
        from softcall.artifact.label_head import verbalizer_head

        made = {"made_as": self.made_as, **self.details}
        if self.head is None:
            return {
                "label_head": verbalizer_head(bundle.output_embedding, bundle.tokenizer(), description.words),
                "label_bias": np.zeros(len(description.labels), np.float32),
                "training": {"verbalizers": description.words, **made},
            }
        if description.verbalizers:
            raise SoftcallError(
                "it has a label head of its own, so its labels have no verbalizers; give names alone"
            )
        if len(description.labels) != len(self.head.bias):
            raise SoftcallError(
                f"its label head has {len(self.head.bias)} rows, for {len(description.labels)} labels"
            )
        return {
            "label_head": self.head.weights,
            "label_bias": self.head.bias,
            "training": {"head": "trained", **made},
        }


def _bare(model: str) -> str:
    """Return a model's name without its organisation, folder and weight format."""
    model = model[-_MAX_NAME:]
    cached = _CACHED.search(model)
    name = (cached[1] if cached else model.rstrip("/").rpartition("/")[2]).casefold()
    while (shorter := _STORED.sub("", name)) != name:
        name = shorter
    return re.sub(r"[^a-z0-9]", "", name) or name
