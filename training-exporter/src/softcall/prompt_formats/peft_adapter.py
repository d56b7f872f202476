"""Folders of PEFT's `save_pretrained`, for each PEFT method that learns a prompt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softcall.artifact.arrays import PROMPT
from softcall.artifact.artifact import refuse_multitask
from softcall.artifact.metadata import METADATA, PromptType
from softcall.artifact.safetensors_file import SafetensorsFile
from softcall.core.bounded_file import read_json_object
from softcall.core.errors import SoftcallError
from softcall.prompt_formats import cpt, kv, multitask, p_tuning
from softcall.prompt_formats.head import split
from softcall.prompt_formats.prompt import Prompt
from softcall.prompt_formats.special_tokens import SpecialTokens
from softcall.prompt_formats.tensor_file import Tensors, bare, blamed_on, open_tensors, shown
from softcall.stores.store import CONFIG, OBJECT

PICKLED = "adapter_model.bin"
MAX_CONFIG_BYTES = 1 << 20

_LANGUAGE_MODEL, _CLASSIFICATION = "CAUSAL_LM", "SEQ_CLS"


def recognises(source: Path) -> bool:
    """Whether `source` is such a folder, or the file of its tensors."""
    if source.is_dir():
        return any((source / name).exists() for name in (CONFIG, OBJECT, PICKLED))
    return source.suffix in (".safetensors", ".bin")


def read(source: Path, task_id: int | None) -> Prompt:
    """Return the prompt of a folder, or of a file with its configuration beside it; plain prompts need none.

    Raises `SoftcallError` for a `peft_type` that does not learn a prompt, for a `task_type` other than
    CAUSAL_LM and SEQ_CLS, and for tensors that do not fit the configuration.
    """
    folder = source if source.is_dir() else source.parent
    model = _model(source) if source.is_dir() else source
    config_file = folder / CONFIG
    if not config_file.exists():
        tensors = _open(model)
        with blamed_on(model):
            vectors, head = split(tensors, folder, classifier=False)
            return Prompt(_plain(vectors, {}, None)[0], f"{PROMPT} without {CONFIG}", None, head=head)
    config = _config(config_file)
    tensors = _open(model)
    method = _METHODS[config["peft_type"]]
    with blamed_on(model):
        tensors, head = split(tensors, folder, classifier=config["task_type"] == _CLASSIFICATION)
        vectors, details = method.compose(tensors, config, task_id)
    _check_sizes(folder, config, method, vectors)
    base, version = config.get("base_model_name_or_path"), config.get("peft_version")
    details = {"versions": {"peft": version if isinstance(version, str) else None}, **details}
    made_as = f"PEFT {config['peft_type']}" + (
        f" {_CLASSIFICATION}" if config["task_type"] == _CLASSIFICATION else ""
    )
    with blamed_on(model):
        return Prompt(
            vectors,
            made_as,
            method.prompt_type,
            base_model=base if isinstance(base, str) else None,
            details=details,
            head=head,
            special_tokens=SpecialTokens.of_folder(folder),
        )


def _open(model: Path) -> Tensors:
    tensors = open_tensors(model)
    if isinstance(tensors, SafetensorsFile) and METADATA in tensors.metadata:
        raise SoftcallError(f"{model}: it is a task artifact; give this file instead of its folder")
    return tensors


def _check_sizes(folder: Path, config: Mapping[str, Any], method: "_Method", vectors: np.ndarray) -> None:
    """Raise `SoftcallError` if the vectors are not of the sizes that the configuration names."""
    tokens, width = config["num_virtual_tokens"], config.get("token_dim")
    if method.prompt_type == PromptType.KV and width is not None:
        layers = config.get("num_layers")
        width = width * 2 * layers if type(width) is type(layers) is int else None
    if vectors.ndim != 2 or len(vectors) != tokens or width not in (None, vectors.shape[1]):
        raise SoftcallError(
            f"{folder}: {PROMPT} has shape {list(vectors.shape)};"
            f" {CONFIG} says [{tokens}, {'width' if width is None else width}]"
        )


def _plain(tensors: Tensors, config: Mapping[str, Any], task_id: int | None) -> tuple[np.ndarray, dict]:
    """Prompt tuning. Other trained tensors are refused, because they would be lost."""
    refuse_multitask(tensors.names)
    if set(map(bare, tensors.names)) not in ({PROMPT}, {"embedding.weight"}):
        raise SoftcallError(f"holds the tensors {shown(tensors.names)}; expected {PROMPT} alone")
    return tensors.floats(tensors.names[0]), {}


@dataclass(frozen=True)
class _Method:
    """A method that learns a prompt: from its tensors to the prompt, and what is worth keeping of it."""

    prompt_type: PromptType
    compose: Callable[[Tensors, Mapping[str, Any], int | None], tuple[np.ndarray, dict[str, Any]]]


_METHODS = {
    "PROMPT_TUNING": _Method(PromptType.SOFT, _plain),
    "MULTITASK_PROMPT_TUNING": _Method(PromptType.SOFT, multitask.compose),
    "P_TUNING": _Method(PromptType.SOFT, p_tuning.compose),
    "CPT": _Method(PromptType.SOFT, cpt.compose),
    "PREFIX_TUNING": _Method(PromptType.KV, kv.compose),
    "CARTRIDGE": _Method(PromptType.KV, kv.compose),
}
"""The methods by `peft_type`."""

_WEIGHTS = "changes the weights of the base, which all tasks share"
_REASONS = {
    **dict.fromkeys(("LORA", "ADALORA", "DORA", "IA3", "LOHA", "LOKR", "OFT", "BOFT", "VERA"), _WEIGHTS),
    "ADAPTION_PROMPT": "gates its prompt in every layer (LLaMA-Adapter), which no prefix can give",
    "SEQ_2_SEQ_LM": "belongs to an encoder-decoder model, and bases are decoders",
    "TOKEN_CLS": "labels every token, and a task labels a text",
    "QUESTION_ANS": "marks a span of a text, and a task labels it",
    "FEATURE_EXTRACTION": "gives hidden states, and a task labels a text",
}


def _model(folder: Path) -> Path:
    """Return the file of the tensors; the pickled one if there is no other."""
    return folder / OBJECT if (folder / OBJECT).is_file() else folder / PICKLED


def _config(path: Path) -> dict[str, Any]:
    config = read_json_object(path, MAX_CONFIG_BYTES)
    _require(path, config, "peft_type", tuple(_METHODS))
    _require(path, config, "task_type", (_LANGUAGE_MODEL, _CLASSIFICATION))
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
