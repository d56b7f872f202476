"""What `softcall push` is told of a task: flags override a `task.json`, which overrides other files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softcall.artifact.metadata import Kind
from softcall.core.errors import SoftcallError

if TYPE_CHECKING:
    from softcall.artifact.generation import Generation
    from softcall.artifact.task_description import TaskDescription
    from softcall.prompt_formats import Prompt


@dataclass(frozen=True)
class TaskFlags:
    """The flags that describe a task; None, empty or False where one is not given.

    `settings` are those of generation, by the names of its metadata. In templates and stop texts `\\n` is a
    line break.
    """

    template: str | None = None
    labels: list[str] | None = None
    kind: Kind | None = None
    chat: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.chat and self.template is not None:
            raise SoftcallError("--chat and --template exclude each other")

    @property
    def given(self) -> list[str]:
        """The names of the flags that are given."""
        flags = {
            "template": self.template is not None,
            "labels": bool(self.labels),
            "kind": self.kind is not None,
            "chat template": self.chat,
            "settings of generation": bool(self.settings),
        }
        return [name for name, is_given in flags.items() if is_given]

    def description(
        self, source: Path, prompt: "Prompt", task_file: Path | None
    ) -> "TaskDescription | Generation":
        """Return the task of the flags, of `task_file` or the folder's `task.json`, and of other files."""
        from softcall.artifact.task_description import TASK_FILE, read_task_file, task_of_record

        folder = source if source.is_dir() else source.parent
        if task_file is None and (folder / TASK_FILE).is_file():
            task_file = folder / TASK_FILE
        record: dict[str, Any] = {} if prompt.head is None else dict(prompt.head.described)
        if task_file is not None:
            record |= read_task_file(task_file)
        self._override(record)
        needed = (("template", "--template"), ("labels", "--label"))
        for name, flag in needed if record.get("kind") != Kind.GENERATION else ():
            if name not in record:
                raise SoftcallError(
                    f"{source} says nothing of the task's {name}; give {flag}, or a {TASK_FILE} in the folder"
                )
        return task_of_record(record, str(task_file) if task_file is not None else "the task's flags")

    def _override(self, record: dict[str, Any]) -> None:
        if self.kind is not None:
            record["kind"] = self.kind.value
        if self.template is not None:
            record["template"] = self.template.replace(r"\n", "\n")
            record.pop("chat", None)
        if self.labels:
            pairs = [text.partition("=") for text in self.labels]
            record["labels"] = [name for name, _, _ in pairs]
            record["verbalizers"] = {name: words for name, equals, words in pairs if equals}
        if self.chat or self.settings:
            self._override_generation(record)

    def _override_generation(self, record: dict[str, Any]) -> None:
        if record.get("kind") != Kind.GENERATION:
            flags = ["--chat"] * self.chat + [f"--{name.replace('_', '-')}" for name in self.settings]
            raise SoftcallError(f"{' and '.join(flags)}: expected with --kind {Kind.GENERATION.value} alone")
        if self.chat:
            record["chat"] = True
            record.pop("template", None)
        if self.settings:
            settings = {**self.settings}
            if "stop" in settings:
                settings["stop"] = [text.replace(r"\n", "\n") for text in settings["stop"]]
            before = record.get("generation")
            record["generation"] = (before if isinstance(before, dict) else {}) | settings
