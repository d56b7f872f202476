"""Writes plain PEFT folders, which `PeftModel.from_pretrained` loads."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from softcall.artifact.artifact import PROMPT, Artifact
from softcall.artifact.safetensors_file import safetensors_bytes
from softcall.artifact.task_description import TASK_FILE
from softcall.core.new_folder import new_folder
from softcall.prompt_formats.prompt import Prompt
from softcall.stores.store import CONFIG, OBJECT


def peft_config(tokens: int, hidden_size: int, base_model: str | None) -> bytes:
    """Return the `adapter_config.json` with which PEFT loads a prompt [tokens, hidden]."""
    config = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "inference_mode": True,
        "num_virtual_tokens": tokens,
        "token_dim": hidden_size,
        "num_transformer_submodules": 1,
        "prompt_tuning_init": "RANDOM",  # has no effect, because the vectors are loaded
    }
    return _json(config)


def write_prompt(out: Path, prompt: Prompt) -> None:
    """Write a prompt into the new folder `out`; raise `SoftcallError` if it exists."""
    _write(out, prompt.vectors, prompt.base_model, {})


def write_task(out: Path, artifact: Artifact) -> None:
    """Write a task into the new folder `out`: its prompt, and a `task.json`, which `softcall push` reads.

    PEFT's format has no place for a trained label head: only the language model's own logits can be restored.
    """
    _write(out, artifact.prompt, artifact.base_name, {TASK_FILE: _json(_description(artifact))})


def _write(out: Path, vectors: np.ndarray, base_model: str | None, more: Mapping[str, bytes]) -> None:
    with new_folder(out) as folder:
        (folder / CONFIG).write_bytes(peft_config(*vectors.shape, base_model))
        (folder / OBJECT).write_bytes(safetensors_bytes({PROMPT: vectors}, {"format": "pt"}))
        for name, content in more.items():
            (folder / name).write_bytes(content)


def _description(artifact: Artifact) -> Mapping[str, Any]:
    words = artifact.training.get("verbalizers")
    known = isinstance(words, list) and len(words) == len(artifact.labels)
    known = known and all(isinstance(word, str) for word in words)
    return {
        "template": artifact.template.source,
        "labels": list(artifact.labels),
        "verbalizers": dict(zip(artifact.labels, words, strict=True)) if known else {},
        "temperature": artifact.temperature,
        "abstain_threshold": artifact.abstain_threshold,
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"
