"""Plain PEFT folders: reading one, folding it into a task artifact, and letting PEFT read a task's folder."""

import io
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from softcall.artifact import PROMPT, Artifact, refuse_multitask
from softcall.bounded_file import read_bounded
from softcall.bundle import Bundle
from softcall.errors import SoftcallError
from softcall.label_head import verbalizer_head
from softcall.safetensors_file import SafetensorsFile
from softcall.store import CONFIG, OBJECT
from softcall.task_description import TaskDescription

PICKLED = "adapter_model.bin"
MAX_CONFIG_BYTES = 1 << 20
MAX_MODEL_BYTES = 64 << 20

_PEFT_TYPE = "PROMPT_TUNING"
_TASK_TYPE = "CAUSAL_LM"


@dataclass(frozen=True, eq=False)
class PeftFolder:
    """What `save_pretrained` of a prompt-tuned model leaves: `prompt` float32 [tokens, hidden], its maker."""

    prompt: np.ndarray
    peft_version: str | None

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read `adapter_config.json` and `adapter_model.safetensors` (or `.bin`) of `folder`.

        `SoftcallError` for any `peft_type` but PROMPT_TUNING, any `task_type` but CAUSAL_LM, and tensors that
        do not fit the configuration.
        """
        config = _config(folder / CONFIG)
        model = folder / OBJECT
        prompt = _safetensors_prompt(model) if model.is_file() else _pickled_prompt(folder / PICKLED)
        tokens, hidden = config["num_virtual_tokens"], config.get("token_dim")
        if prompt.ndim != 2 or len(prompt) != tokens or hidden not in (None, prompt.shape[1]):
            raise SoftcallError(
                f"{folder}: {PROMPT} has shape {list(prompt.shape)};"
                f" {CONFIG} says [{tokens}, {'hidden' if hidden is None else hidden}]"
            )
        version = config.get("peft_version")
        return cls(prompt.astype(np.float32), version if isinstance(version, str) else None)

    def fold(self, bundle: Bundle, description: TaskDescription) -> Artifact:
        """The artifact of this prompt on `bundle`'s base, with a label head of the verbalizers' words.

        Its logits are the language model's logits of these words behind the prompt (means over their tokens).
        """
        if self.prompt.shape[1] != bundle.hidden_size:
            raise SoftcallError(
                f"the prompt has hidden size {self.prompt.shape[1]};"
                f" base {bundle.name} has {bundle.hidden_size}"
            )
        return Artifact(
            prompt=self.prompt,
            label_head=verbalizer_head(bundle.output_embedding, bundle.tokenizer(), description.words),
            label_bias=np.zeros(len(description.labels), np.float32),
            template=description.template,
            labels=description.labels,
            base_name=bundle.name,
            base_fingerprint=bundle.fingerprint,
            temperature=description.temperature,
            abstain_threshold=description.abstain_threshold,
            training={"verbalizers": description.words, "versions": {"peft": self.peft_version}},
        )


def peft_config(artifact: Artifact) -> bytes:
    """The `adapter_config.json` with which PEFT loads the artifact as it lies in a store."""
    config = {
        "peft_type": _PEFT_TYPE,
        "task_type": _TASK_TYPE,
        "base_model_name_or_path": artifact.base_name,
        "inference_mode": True,
        "num_virtual_tokens": artifact.tokens,
        "token_dim": artifact.hidden_size,
        "num_transformer_submodules": 1,
        "prompt_tuning_init": "RANDOM",  # of no effect: the vectors are loaded
    }
    return json.dumps(config, indent=2).encode() + b"\n"


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(read_bounded(path, MAX_CONFIG_BYTES))
    except (ValueError, RecursionError) as error:
        raise SoftcallError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(config, dict):
        raise SoftcallError(f"{path}: not a JSON object")
    _require(path, config, "peft_type", (_PEFT_TYPE,))
    _require(path, config, "task_type", (_TASK_TYPE,))
    _require(path, config, "num_transformer_submodules", (1, None))
    tokens = config.get("num_virtual_tokens")
    if type(tokens) is not int:
        raise SoftcallError(f"{path}: num_virtual_tokens is {tokens!r}; expected a number")
    return config


def _require(path: Path, config: dict[str, Any], name: str, accepted: tuple[Any, ...]) -> None:
    if config.get(name) not in accepted:
        raise SoftcallError(
            f"{path}: {name} is {config.get(name)!r}, which is not served; expected {accepted[0]}"
        )


def _safetensors_prompt(path: Path) -> np.ndarray:
    data = read_bounded(path, MAX_MODEL_BYTES)
    try:
        file = SafetensorsFile(data)
        _require_prompt_alone(file.names)
        return file.floats(PROMPT)
    except SoftcallError as error:
        raise SoftcallError(f"{path}: {error}") from None


def _pickled_prompt(path: Path) -> np.ndarray:
    data = read_bounded(path, MAX_MODEL_BYTES)
    try:
        import torch
    except ModuleNotFoundError:
        raise SoftcallError(f"{path}: reading it needs PyTorch: pip install 'softcall[torch]'") from None
    try:
        # Tensors only: a pickle could otherwise run any code.
        tensors = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise SoftcallError(f"{path}: not a file of tensors ({type(error).__name__})") from None
    if not isinstance(tensors, dict) or not all(
        isinstance(tensor, torch.Tensor) for tensor in tensors.values()
    ):
        raise SoftcallError(f"{path}: not a file of named tensors")
    try:
        _require_prompt_alone(tensors)
    except SoftcallError as error:
        raise SoftcallError(f"{path}: {error}") from None
    return tensors[PROMPT].float().numpy()


def _require_prompt_alone(tensors: Collection[str]) -> None:
    """Whatever else is trained beside the prompt would be lost."""
    refuse_multitask(tensors)
    if set(tensors) != {PROMPT}:
        raise SoftcallError(
            f"holds the tensors {', '.join(sorted(map(str, tensors))) or 'none'}; expected {PROMPT} alone"
            " (an artifact of `softcall train` is pushed as a file)"
        )
