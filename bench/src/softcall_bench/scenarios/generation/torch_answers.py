"""What PyTorch writes, greedily and in float32, one text at a time: PEFT behind a prompt, or the base alone.

That takes half an hour, so every answer is kept, in a file that is named by all that it depends on.
"""

import gc
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from softcall_bench.bench import RESULTS, Bench
from softcall_bench.scenarios.generation import e2e

END = 2
LIBRARIES = ("torch", "transformers", "peft")
TOLD_EVERY = 20


@dataclass(frozen=True)
class TorchAnswer:
    """The new token ids, and for each how far its logit is above the next best one's."""

    ids: tuple[int, ...]
    gaps: tuple[float, ...]


Write = Callable[[str], TorchAnswer]


def behind(bench: Bench, adapter: Path, texts: Sequence[str]) -> list[TorchAnswer]:
    """What PEFT writes behind a prompt of E2E for each text."""
    learnt = hashlib.sha256()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        learnt.update((adapter / name).read_bytes())
    settings = {"adapter": learnt.hexdigest(), "template": e2e.TEMPLATE, "max_tokens": e2e.MAX_TOKENS}
    return _Kept(bench, f"PEFT, {adapter.name}", settings).answers(texts, lambda: _peft(adapter))


def chats(bench: Bench, texts: Sequence[str], max_tokens: int) -> list[TorchAnswer]:
    """What the base answers to each text, as a user's message in its chat template."""
    settings = {"chat": True, "max_tokens": max_tokens}
    return _Kept(bench, "transformers, chats", settings).answers(texts, lambda: _chat(max_tokens))


class _Kept:
    """Answers by text in a file of JSON lines, to which each new one is added at once."""

    def __init__(self, bench: Bench, name: str, settings: dict[str, Any]) -> None:
        settings |= {"base": bench.workload.base.fingerprint} | {name: version(name) for name in LIBRARIES}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        self._bench, self._name = bench, name
        self._file = RESULTS / "torch-answers" / f"{digest[:16]}.jsonl"

    def answers(self, texts: Sequence[str], make: Callable[[], Write]) -> list[TorchAnswer]:
        """What is kept; `make` gives what writes all else, and is called only if there is any."""
        known = self._read()
        if missing := [text for text in texts if text not in known]:
            self._bench.say(f"{self._name} answers {len(missing)} texts; {self._file} keeps them")
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write = make()
            with self._file.open("a") as file:
                for number, text in enumerate(missing, 1):
                    known[text] = answer = write(text)
                    file.write(json.dumps({"text": text, "ids": answer.ids, "gaps": answer.gaps}) + "\n")
                    file.flush()
                    if number % TOLD_EVERY == 0:
                        self._bench.say(f"{self._name}: {number} of {len(missing)}")
            del write
            gc.collect()
        return [known[text] for text in texts]

    def _read(self) -> dict[str, TorchAnswer]:
        if not self._file.is_file():
            return {}
        rows = map(json.loads, self._file.read_text().splitlines())
        return {row["text"]: TorchAnswer(tuple(row["ids"]), tuple(row["gaps"])) for row in rows}


def _peft(adapter: Path) -> Write:
    from peft import PeftModel

    from softcall.base.source import Source

    base = Source.resolve(None).load()
    model = PeftModel.from_pretrained(base.model, adapter).eval()

    def write(text: str) -> TorchAnswer:
        ids = base.tokenizer.encode(e2e.TEMPLATE.replace("{text}", text), add_special_tokens=False).ids
        return _generate(model, ids, e2e.MAX_TOKENS)

    return write


def _chat(max_tokens: int) -> Write:
    from transformers import AutoTokenizer

    from softcall.base.default_base import fetch
    from softcall.base.source import Source

    file = fetch()
    model = Source.resolve(None).load().model
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)

    def write(text: str) -> TorchAnswer:
        messages = [{"role": "user", "content": text}]
        filled = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
        return _generate(model, filled["input_ids"], max_tokens)

    return write


def _generate(model: Any, ids: Sequence[int], max_tokens: int) -> TorchAnswer:
    import torch

    # Several wait for each other where anything else uses a core, and take four times as long.
    torch.set_num_threads(1)
    row = torch.tensor([ids])
    with torch.no_grad():
        told = model.generate(
            input_ids=row,
            attention_mask=torch.ones_like(row),
            do_sample=False,
            max_new_tokens=max_tokens,
            eos_token_id=END,
            pad_token_id=END,
            return_dict_in_generate=True,
            output_logits=True,
        )
    best = [step[0].topk(2).values for step in told.logits]
    new = told.sequences[0, -len(told.logits) :].tolist()
    return TorchAnswer(tuple(new), tuple(float(first - second) for first, second in best))
