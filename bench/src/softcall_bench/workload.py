"""What is asked: real sentences of a given number of tokens, and tasks made of the shipped one."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from softcall.artifact.artifact import Artifact, GenerationArtifact
from softcall.artifact.generation import Generation
from softcall.artifact.metadata import PromptType
from softcall.base.bundle import Bundle
from softcall.datasets.rows import read_rows
from softcall.stores.store import OBJECT
from softcall_bench.local_server import ROOT
from softcall_bench.server import BASE

TASK = "banking77"
TEXT_TOKENS = 26
PROMPT_LENGTHS = (8, 16, 20, 32)
SENTENCES = ROOT / "training-exporter/examples/banking77/test.jsonl"


@dataclass(frozen=True)
class Text:
    """A text, its token ids with the template around it, and its label if it is one of the test set."""

    text: str
    ids: tuple[int, ...]
    label: str | None = None


def write_task(store: Path, name: str, artifact: Artifact) -> None:
    """Put a task into a file store, in place of another one of its name."""
    (store / name).mkdir(parents=True, exist_ok=True)
    (store / name / OBJECT).write_bytes(artifact.to_bytes())


@dataclass(frozen=True)
class Workload:
    """The texts and the task that all sides are measured with."""

    base: Bundle
    artifact: Artifact

    @classmethod
    def shipped(cls) -> "Workload":
        """The shipped task `TASK` on the built base."""
        return cls(
            Bundle.open(BASE), Artifact.from_bytes((ROOT / "tasks" / TASK / OBJECT).read_bytes(), TASK)
        )

    @cached_property
    def texts(self) -> list[Text]:
        """All test sentences that have `TEXT_TOKENS` tokens."""
        return [text for text in self.sentences if len(text.ids) == TEXT_TOKENS]

    @property
    def shortest(self) -> list[Text]:
        """Some of the shortest test sentences."""
        return sorted(self.sentences, key=lambda text: len(text.ids))[:20]

    def texts_of(self, tokens: int, count: int) -> list[Text]:
        """`count` texts of exactly `tokens` tokens: test sentences in a row, cut between words."""
        found: list[Text] = []
        for start in range(0, len(self.sentences), 7):
            words = " ".join(text.text for text in self.sentences[start : start + tokens]).split(" ")
            if (text := self._cut(words, tokens)) is not None:
                found.append(text)
            if len(found) == count:
                return found
        raise ValueError(f"only {len(found)} texts of {tokens} tokens; {count} are wanted")

    def body(self, text: Text, task: str = TASK) -> str:
        """A request's body, on one line."""
        return json.dumps({"model": task, "input": text.text})

    def bodies(self, texts: Sequence[Text] | None = None, task: str = TASK) -> list[str]:
        """A body for each text; without `texts` for all of `TEXT_TOKENS` tokens."""
        return [self.body(text, task) for text in (self.texts if texts is None else texts)]

    def with_prompt_of(self, tokens: int) -> Artifact:
        """The task with its prompt cut, or repeated, to `tokens`: another length, the same head."""
        prompt = np.resize(self.artifact.prompt, (tokens, self.artifact.hidden_size))
        return replace(self.artifact, prompt=prompt, prefixes={}, prefix_layouts={})

    def with_kv_prompt(self, prompt: np.ndarray | None = None) -> Artifact:
        """The task with a KV prompt [tokens, width]; without one its own as keys and values."""
        if prompt is None:
            prompt = self.base.identity.kv.prompt(self.artifact.prefix(self.base)).astype(np.float16)
        return replace(
            self.artifact, prompt=prompt, prompt_type=PromptType.KV, prefixes={}, prefix_layouts={}
        )

    def writer(self, kv: bool = False) -> GenerationArtifact:
        """A task that writes text behind the shipped task's prompt and template; `kv`: as keys and values.

        It was not trained to. What it writes is of no use, and takes as long as what others write.
        """
        made = self.with_kv_prompt() if kv else self.artifact
        return GenerationArtifact(
            prompt=made.prompt,
            prompt_type=made.prompt_type,
            generation=Generation(self.artifact.template),
            base_name=self.artifact.base_name,
            base_fingerprint=self.artifact.base_fingerprint,
        )

    def write_tasks(self, store: Path, count: int) -> list[str]:
        """Make a file store anew with `count` tasks, whose prompts' lengths go round; returns their names."""
        objects = [self.with_prompt_of(tokens).to_bytes() for tokens in PROMPT_LENGTHS]
        shutil.rmtree(store, ignore_errors=True)
        names = [f"task-{number:04}" for number in range(count)]
        for number, name in enumerate(names):
            (store / name).mkdir(parents=True)
            (store / name / OBJECT).write_bytes(objects[number % len(objects)])
        return names

    @property
    def prefix_bytes_per_token(self) -> int:
        """Memory of one prompt token's keys and values in float32."""
        base = self.base
        return base.num_hidden_layers * 2 * base.num_key_value_heads * base.head_dim * 4

    @cached_property
    def sentences(self) -> list[Text]:
        """The whole test set."""
        return [self._text(row.texts[0], row.label) for row in read_rows(SENTENCES)]

    @cached_property
    def _tokenizer(self):
        return self.base.tokenizer()

    def _text(self, text: str, label: str | None = None) -> Text:
        return Text(text, tuple(self.artifact.template.encode(self._tokenizer, [text])), label)

    def _cut(self, words: list[str], tokens: int) -> Text | None:
        """The most words that have `tokens` tokens with the template; None where a word steps over them."""
        low, high = 1, len(words)
        while low < high:
            middle = (low + high + 1) // 2
            if len(self._text(" ".join(words[:middle])).ids) <= tokens:
                low = middle
            else:
                high = middle - 1
        text = self._text(" ".join(words[:low]))
        return text if len(text.ids) == tokens else None
