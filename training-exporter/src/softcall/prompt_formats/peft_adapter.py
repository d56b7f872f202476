"""Folders of PEFT's `save_pretrained`, for each PEFT method that learns a prompt."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from softcall.artifact.artifact import PROMPT, refuse_multitask
from softcall.core.bounded_file import read_json_object
from softcall.core.errors import SoftcallError
from softcall.prompt_formats import multitask, p_tuning
from softcall.prompt_formats.prompt import Prompt
from softcall.prompt_formats.tensor_file import Tensors, blamed_on, open_tensors, shown
from softcall.stores.store import CONFIG, OBJECT

PICKLED = "adapter_model.bin"
MAX_CONFIG_BYTES = 1 << 20

_TASK_TYPE = "CAUSAL_LM"

Composition = Callable[[Tensors, Mapping[str, Any], int | None], tuple[np.ndarray, dict[str, Any]]]


def recognises(source: Path) -> bool:
    """Whether `source` is such a folder, or the file of its tensors."""
    if source.is_dir():
        return any((source / name).exists() for name in (CONFIG, OBJECT, PICKLED))
    return source.suffix in (".safetensors", ".bin")


def read(source: Path, task_id: int | None) -> Prompt:
    """Return the prompt of a folder, or of a file with its configuration beside it; plain prompts need none.

    Raises `SoftcallError` for a `peft_type` that does not learn a prompt, for a `task_type` other than
    CAUSAL_LM, and for tensors that do not fit the configuration.
    """
    folder = source if source.is_dir() else source.parent
    model = _model(source) if source.is_dir() else source
    config_file = folder / CONFIG
    if not config_file.exists():
        tensors = open_tensors(model)
        with blamed_on(model):
            return Prompt(_plain(tensors, {}, None)[0], f"{PROMPT} without {CONFIG}")
    config = _config(config_file)
    tensors = open_tensors(model)
    peft_type = config["peft_type"]
    with blamed_on(model):
        vectors, details = _COMPOSITIONS[peft_type](tensors, config, task_id)
    tokens, hidden = config["num_virtual_tokens"], config.get("token_dim")
    if vectors.ndim != 2 or len(vectors) != tokens or hidden not in (None, vectors.shape[1]):
        raise SoftcallError(
            f"{folder}: {PROMPT} has shape {list(vectors.shape)};"
            f" {CONFIG} says [{tokens}, {'hidden' if hidden is None else hidden}]"
        )
    base, version = config.get("base_model_name_or_path"), config.get("peft_version")
    details = {"versions": {"peft": version if isinstance(version, str) else None}, **details}
    with blamed_on(model):
        return Prompt(vectors, f"PEFT {peft_type}", base if isinstance(base, str) else None, details)


def _plain(tensors: Tensors, config: Mapping[str, Any], task_id: int | None) -> tuple[np.ndarray, dict]:
    """Prompt tuning. Other trained tensors are refused, because they would be lost."""
    refuse_multitask(tensors.names)
    if set(tensors.names) != {PROMPT}:
        raise SoftcallError(f"holds the tensors {shown(tensors.names)}; expected {PROMPT} alone")
    return tensors.floats(PROMPT), {}


_COMPOSITIONS: dict[str, Composition] = {
    "PROMPT_TUNING": _plain,
    "MULTITASK_PROMPT_TUNING": multitask.compose,
    "P_TUNING": p_tuning.compose,
}
"""For each `peft_type`: from its tensors to the prompt [tokens, hidden] and what is worth keeping of it."""

_REASONS = {
    "PREFIX_TUNING": "learns keys and values of every layer, which no vectors in front of the text can give",
    "LORA": "changes the weights of the base, which all tasks share",
    "SEQ_2_SEQ_LM": "belongs to an encoder-decoder model, and bases are decoders",
}


def _model(folder: Path) -> Path:
    """Return the file of the tensors; the pickled one if there is no other."""
    return folder / OBJECT if (folder / OBJECT).is_file() else folder / PICKLED


def _config(path: Path) -> dict[str, Any]:
    config = read_json_object(path, MAX_CONFIG_BYTES)
    _require(path, config, "peft_type", tuple(_COMPOSITIONS))
    _require(path, config, "task_type", (_TASK_TYPE,))
    _require(path, config, "num_transformer_submodules", (1, None))
    tokens = config.get("num_virtual_tokens")
    if type(tokens) is not int:
        raise SoftcallError(f"{path}: num_virtual_tokens is {tokens!r}; expected a number")
    return config


def _require(path: Path, config: dict[str, Any], name: str, accepted: tuple[Any, ...]) -> None:
    found = config.get(name)
    if found not in accepted:
        reason = _REASONS.get(found if isinstance(found, str) else "", "is not served")
        choices = ", ".join(str(value) for value in accepted if value is not None)
        raise SoftcallError(f"{path}: {name} is {found!r}, which {reason}; expected {choices}")
