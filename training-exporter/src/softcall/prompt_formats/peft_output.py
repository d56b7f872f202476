"""Writes plain PEFT folders, which `PeftModel.from_pretrained` loads."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from softcall.artifact.arrays import LABEL_BIAS, LABEL_HEAD, PROMPT
from softcall.artifact.artifact import Artifact, ClassificationArtifact, GenerationArtifact
from softcall.artifact.metadata import Kind, PromptType
from softcall.artifact.safetensors_file import safetensors_bytes
from softcall.artifact.task_description import TASK_FILE
from softcall.core.new_folder import new_folder
from softcall.prompt_formats.prompt import Prompt
from softcall.stores.store import CONFIG, OBJECT


def peft_config(prompt_type: PromptType, base_model: str | None, shape: tuple[int, int]) -> bytes:
    """Return the `adapter_config.json` with which PEFT loads a prompt of `shape` [tokens, width].

    Sizes that a configuration of PREFIX_TUNING does not name are those of the model that PEFT loads it for.
    """
    return _json(_config(prompt_type, base_model, shape))


def write_prompt(out: Path, prompt: Prompt) -> None:
    """Write a prompt into the new folder `out`; raise `SoftcallError` if it exists."""
    prompt_type = prompt.prompt_type or PromptType.SOFT
    config = _config(prompt_type, prompt.base_model, prompt.vectors.shape)
    tensors = {PROMPT: prompt.vectors}
    if prompt.head is not None:
        _add_head(config, tensors, prompt.head.weights, prompt.head.bias)
    _write(out, config, tensors, {})


def write_task(out: Path, artifact: Artifact) -> None:
    """Write a task into the new folder `out`: its prompt, and a `task.json`, which `softcall push` reads.

    A trained label head without a bias is a classifier of PEFT's (`task_type` SEQ_CLS). One with a bias lies
    beside the prompt, where `softcall push` reads it and PEFT ignores it.
    """
    config = _config(artifact.prompt_type, artifact.base_name, artifact.prompt.shape)
    tensors = {PROMPT: artifact.prompt}
    if has_trained_head(artifact):
        _add_head(config, tensors, artifact.label_head, artifact.label_bias)
    _write(out, config, tensors, {TASK_FILE: _json(_description(artifact))})


def has_trained_head(artifact: Artifact) -> TypeGuard[ClassificationArtifact]:
    """Whether there is a label head that is more than the verbalizers' rows."""
    return isinstance(artifact, ClassificationArtifact) and artifact.training.get("head") == "trained"


def _config(prompt_type: PromptType, base_model: str | None, shape: tuple[int, int]) -> dict[str, Any]:
    tokens, width = shape
    config = {
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "inference_mode": True,
        "num_virtual_tokens": tokens,
        "num_transformer_submodules": 1,
    }
    if prompt_type == PromptType.KV:
        return {"peft_type": "PREFIX_TUNING", **config, "prefix_projection": False}
    # The initialization has no effect, because the vectors are loaded.
    return {"peft_type": "PROMPT_TUNING", **config, "token_dim": width, "prompt_tuning_init": "RANDOM"}


def _add_head(
    config: dict[str, Any], tensors: dict[str, np.ndarray], weights: np.ndarray, bias: np.ndarray
) -> None:
    if bias.any():
        tensors |= {LABEL_HEAD: weights, LABEL_BIAS: bias}
    else:
        config |= {"task_type": "SEQ_CLS", "modules_to_save": ["score"]}
        tensors["base_model.score.weight"] = weights


def _write(
    out: Path, config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], more: Mapping[str, bytes]
) -> None:
    with new_folder(out) as folder:
        (folder / CONFIG).write_bytes(_json(config))
        (folder / OBJECT).write_bytes(safetensors_bytes(tensors, {"format": "pt"}))
        for name, content in more.items():
            (folder / name).write_bytes(content)


def _description(artifact: Artifact) -> Mapping[str, Any]:
    if isinstance(artifact, GenerationArtifact):
        return {"kind": artifact.kind.value, **artifact.kind_fields}
    return _classification(artifact)


def _classification(artifact: ClassificationArtifact) -> Mapping[str, Any]:
    words = artifact.training.get("verbalizers")
    known = isinstance(words, list) and len(words) == len(artifact.labels)
    known = known and not has_trained_head(artifact) and all(isinstance(word, str) for word in words)
    multi_label = artifact.kind == Kind.MULTI_LABEL
    return {
        "template": artifact.template.source,
        "labels": list(artifact.labels),
        "verbalizers": dict(zip(artifact.labels, words, strict=True)) if known else {},
        **({"kind": artifact.kind.value} if multi_label else {}),
        **(
            {"thresholds": dict(zip(artifact.labels, artifact.thresholds, strict=True))}
            if multi_label
            else {}
        ),
        "temperature": artifact.temperature,
        "abstain_threshold": artifact.abstain_threshold,
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
