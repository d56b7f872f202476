"""Prompts that other software has trained; docs/publishing.md has the table of formats.

Each format is a module with two functions: `recognises(source)`, by names alone, and `read(source, task_id)`.
"""

from pathlib import Path
from typing import Protocol

from softcall.core.errors import SoftcallError
from softcall.prompt_formats import lester, peft_adapter, tgis
from softcall.prompt_formats.prompt import Prompt

__all__ = ["ACCEPTED", "Prompt", "read_prompt"]

ACCEPTED = (
    "a folder made by PEFT's save_pretrained, adapter_model.safetensors or .bin, TGIS's decoder.pt,"
    " or a .npy array"
)


class PromptFormat(Protocol):
    """The interface of a module of this package."""

    def recognises(self, source: Path) -> bool:
        """Whether the names of files say that `source` has this format."""

    def read(self, source: Path, task_id: int | None) -> Prompt:
        """Return the prompt; `task_id` selects one of several. Errors name the file and the reason."""


# The order matters: vLLM's adapter for TGIS puts an `adapter_config.json` beside a `decoder.pt`.
FORMATS: tuple[PromptFormat, ...] = (tgis, lester, peft_adapter)


def read_prompt(source: Path, task_id: int | None = None) -> Prompt:
    """Return the prompt of a file or folder in any of the formats.

    `task_id` selects the prompt of a source that holds several tasks, and is refused for other sources.
    Raises `SoftcallError`, which names the file and the reason, for a source that has no prompt for a
    decoder.
    """
    if not source.exists():
        raise SoftcallError(f"{source}: cannot be read (No such file or directory)")
    for known in FORMATS:
        if known.recognises(source):
            prompt = known.read(source, task_id)
            break
    else:
        raise SoftcallError(f"{source}: holds no prompt{_instead(source)}; expected {ACCEPTED}")
    if task_id is not None and "task_id" not in prompt.details:
        raise SoftcallError(f"{source}: --task-id is {task_id}, but {prompt.made_as} holds one prompt alone")
    return prompt


def _instead(source: Path) -> str:
    return " but a model of its own (config.json)" if (source / "config.json").is_file() else ""
