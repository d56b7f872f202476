"""The tasks of the tiny base that write text, and what PEFT writes with them.

`write_writers` writes FOLDER/tasks/<task>/adapter_model.safetensors and FOLDER/generation.json:

    {"max_new_tokens": 24, "tasks": {task: [row, ...]}}

A row has the caller's `text`, or the `messages` of a chat; `ids`, the token ids behind the prompt; `tokens`,
which `PeftModel.generate` chose greedily in float32, an end token included; for each of them `logprobs`, the
natural logarithm of its probability, and `gaps`, how far the second largest logit lies below its own; and
`decoded`, their text without special tokens. Where a gap is below 1e-3, another machine may choose the other
token, and what follows is another text. The settings in the task's metadata cut no row: neither a stop text
nor `max_tokens`.

The tiny base repeats a few tokens for ever behind most prompts. Large keys and values disturb it, so KV
prompts have those. Soft prompts are normed, so their size does nothing: of 2,500 seeds `writer` has the one
with the most different tokens in a row. The other seeds, of 400, also end a row or two with the end token.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from peft import PeftModel, PrefixTuningConfig, PromptTuningConfig
from transformers import PreTrainedTokenizerFast

from softcall.artifact.metadata import Kind, PromptType
from softcall.base.generation import shortest_float
from softcall.base.identity import KvShape
from softcall.base.source import LoadedBase

MAX_NEW_TOKENS = 24
SEED = (7, 100)

TEXTS = (
    "The film was a joy.",
    "a",
    "カードがまだ届いていません。",
    "🎉🎉 best day ever 🥳",
    "naïve café – “quoted” — ½ price",
    "A text may contain {text} itself.",
    "line one\nline two\n\n\ttabbed " + "and then it goes on and on " * 6,
)

CHATS = (
    [("user", "The film was a joy.")],
    [("user", "a")],
    [("system", "短く答えてください。"), ("user", "カードがまだ届いていません。")],
    [("user", "Why?"), ("assistant", "The card was refused. 🎉"), ("user", "When will it be delivered?")],
    [("user", "and then it goes on and on " * 6)],
)


@dataclass(frozen=True)
class Writer:
    """A task of the kind generation, a chat where it has no template. Its prompt is seeded noise."""

    tokens: int
    template: str | None
    prompt_type: PromptType
    dtype: torch.dtype
    deviation: float
    seed: int
    settings: Mapping[str, Any] | None = None

    @property
    def inputs(self) -> Sequence[Any]:
        """What callers say: texts, or chats as (role, content)."""
        return CHATS if self.template is None else TEXTS


WRITERS = {
    "writer": Writer(
        8,
        "Say: {text}\nAnswer:",
        PromptType.SOFT,
        torch.float32,
        deviation=1,
        seed=1320,
        settings={"max_tokens": 12, "stop": ["DQ", "Ho"], "temperature": 0},
    ),
    "acme/kv-writer": Writer(16, "{text} =", PromptType.KV, torch.float16, deviation=3, seed=393),
    "chatter": Writer(16, None, PromptType.KV, torch.float32, deviation=3, seed=242),
}


def write_writers(base: LoadedBase, folder: Path, save: Callable[[dict, dict], bytes]) -> None:
    """Write the tasks and what PEFT writes with them; `save` makes a file of tensors and metadata."""
    written = {}
    for name, writer in WRITERS.items():
        file = folder / "tasks" / name / "adapter_model.safetensors"
        file.parent.mkdir(parents=True)
        prompt = _prompt(base, writer)
        file.write_bytes(save({"prompt_embeddings": prompt}, _metadata(base, writer)))
        written[name] = _rows(base, writer, file)
    (folder / "generation.json").write_text(_one_row_a_line(written), "utf-8")


def peft_model(base: LoadedBase, file: Path, prompt_type: PromptType, tokens: int) -> PeftModel:
    """Return the model that PEFT makes of a stored task, and of the configuration that belongs to it."""
    shape = KvShape.of_config(base.model.config)
    sizes = {"num_virtual_tokens": tokens, "num_transformer_submodules": 1, "num_layers": shape.layers}
    if prompt_type == PromptType.KV:
        kv = {"token_dim": shape.kv_heads * shape.head_dim, "num_attention_heads": shape.kv_heads}
        config = PrefixTuningConfig(task_type="CAUSAL_LM", **kv, **sizes)
    else:
        hidden = {"token_dim": base.model.config.hidden_size, "num_attention_heads": 4}
        config = PromptTuningConfig(task_type="CAUSAL_LM", **hidden, **sizes)
    with TemporaryDirectory() as adapter:
        config.save_pretrained(adapter)
        shutil.copy(file, adapter)
        return PeftModel.from_pretrained(base.model, adapter)


def _prompt(base: LoadedBase, writer: Writer) -> torch.Tensor:
    is_kv = writer.prompt_type == PromptType.KV
    config = base.model.config
    width = KvShape.of_config(config).width if is_kv else config.hidden_size
    noise = np.random.default_rng([*SEED, writer.seed]).standard_normal((writer.tokens, width))
    return torch.from_numpy(writer.deviation * noise).to(writer.dtype)


def _metadata(base: LoadedBase, writer: Writer) -> dict[str, str]:
    record = {
        "schema": 2,
        "prompt": writer.prompt_type.value,
        "kind": Kind.GENERATION.value,
        "base": {"name": base.name, "fingerprint": base.fingerprint},
        **({"chat": True} if writer.template is None else {"template": writer.template}),
        **({"generation": writer.settings} if writer.settings else {}),
        "prefix_layouts": {},
        "metrics": {},
        "training": {"seed": writer.seed},
    }
    return {"format": "pt", "softcall": json.dumps(record, ensure_ascii=False)}


def _rows(base: LoadedBase, writer: Writer, file: Path) -> list[dict]:
    peft = peft_model(base, file, writer.prompt_type, writer.tokens)
    rows = []
    for said in writer.inputs:
        if writer.template is None:
            messages = [{"role": role, "content": content} for role, content in said]
            ids, asked = _chat_ids(base, messages), {"messages": messages}
        else:
            before, behind = writer.template.split("{text}")
            ids = base.tokenizer.encode(before + said + behind, add_special_tokens=False).ids
            asked = {"text": said}
        rows.append({**asked, "ids": ids, **_written(base, peft, ids)})
    return rows


def _chat_ids(base: LoadedBase, messages: Sequence[Mapping[str, str]]) -> list[int]:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=base.tokenizer)
    return tokenizer.apply_chat_template(
        messages,
        chat_template=base.chat_template.text,
        add_generation_prompt=True,
        return_dict=False,
    )


def _written(base: LoadedBase, peft: PeftModel, ids: Sequence[int]) -> dict:
    """Ask PEFT."""
    done = peft.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=MAX_NEW_TOKENS,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
    )
    logits = torch.cat(done.logits)
    tokens = done.sequences[0, -len(logits) :]
    best, second = logits.topk(2).values.T
    chosen = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
    return {
        "tokens": tokens.tolist(),
        "logprobs": [shortest_float(value) for value in chosen.numpy()],
        "gaps": [shortest_float(value) for value in (best - second).numpy()],
        "decoded": base.tokenizer.decode(tokens.tolist(), skip_special_tokens=True),
    }


def _one_row_a_line(written: Mapping[str, list[dict]]) -> str:
    tasks = ",\n".join(
        f" {json.dumps(name)}: [\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n ]"
        for name, rows in written.items()
    )
    return f'{{"max_new_tokens": {MAX_NEW_TOKENS},\n"tasks": {{\n{tasks}\n}}}}\n'
