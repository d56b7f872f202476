"""Make the tiny base, its tasks and their golden answers, which the tests of Python and Java share.

    uv run --all-extras python tests/make_tiny.py [FOLDER]     (default: src/test/resources/tiny)

FOLDER/
  base/                                     a base bundle of a random Llama: 2 layers, hidden size 64
  tasks/<task>/adapter_model.safetensors    a store with tasks of soft and KV prompts
  golden.json                               what PEFT answers: {"base": row, "tasks": {task: [row, ...]}}
  generation.json                           what PEFT writes with the tasks that write text (tiny_writers.py)
  broken/<what>.safetensors                 artifacts that must be refused
  signed/<when>.safetensors, key.txt        the sentiment task, signed twice, and the public key

A row is {"texts", "ids", "hidden", "logits", "probs"}; `hidden` is PEFT's last hidden row after the final
norm, computed for one unpadded text at a time. The base's row has no prompt: {"texts", "ids", "hidden"}.
Everything is seeded: a second run writes the same artifacts, byte for byte.
"""

import json
import os
import shutil
import struct
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from peft import PrefixTuningConfig, PromptTuningConfig, TaskType, get_peft_model
from safetensors import torch as safetensors
from tiny_writers import write_writers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from softcall.artifact.metadata import Kind, PromptType
from softcall.artifact.signature import Signer
from softcall.base.bundle import FP16, FULL_PRECISION
from softcall.base.chat_template import ChatTemplate
from softcall.base.fingerprint import fingerprint
from softcall.base.generation import shortest_float
from softcall.base.identity import KvShape
from softcall.base.source import LoadedBase
from softcall.export.base_export import export_base

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "src/test/resources/tiny"
NAME = "tiny-llama"
HIDDEN = 64
VOCABULARY = 384
POSITIONS = 1024
SEED = 7

CORPUS = """
The film was a joy from the first scene to the last, and I would watch it again tomorrow.
The food was cold, the waiter was rude, and the bill was wrong. I will not come back.
Why was my card declined? I tried to pay for the train this morning and it was refused.
How do I change the PIN of my card, and where is the nearest cash machine?
Please cancel the transfer that I made yesterday; it went to the wrong account.
My new card has not arrived yet. When will it be delivered?
この映画は最初から最後まで素晴らしかったです。また見たいと思います。
料理は冷たく、店員は失礼でした。もう行きません。
カードがまだ届いていません。いつ届きますか。
暗証番号を変更したいのですが、どうすればよいですか。
Sentiment: positive negative neutral. Intent: card arrival, cash withdrawal, change pin, transfer, refund.
"""

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

TEXTS = (
    "The film was a joy.",
    "cold food, rude waiter",
    "I will not come back",
    "a",
    "When will my new card be delivered? It has been two weeks, and nobody answers the phone.",
    "カードがまだ届いていません。",
    "この映画は素晴らしかった！",
    "🎉🎉 best day ever 🥳",
    "naïve café – “quoted” — ½ price",
    "A text may contain {text} and {text1} itself.",
    "  leading and trailing space  ",
    "line one\nline two\n\n\ttabbed " + "and then it goes on and on " * 6,
)

PAIRS = tuple(zip(TEXTS, TEXTS[5:] + TEXTS[:5], strict=True))


@dataclass(frozen=True)
class Task:
    """A task of the tiny store; a head of verbalizers unless `trained_head`."""

    tokens: int
    template: str
    labels: tuple[str, ...]
    inputs: tuple[tuple[str, ...], ...] = tuple((text,) for text in TEXTS)
    trained_head: bool = True
    prompt_type: PromptType = PromptType.SOFT
    kind: Kind = Kind.CLASSIFICATION
    dtype: torch.dtype = torch.float32
    extra: dict = field(default_factory=dict)


TASKS = {
    "sentiment": Task(8, "{text}\nSentiment:", ("negative", "positive"), trained_head=False),
    "acme/intent": Task(
        8, "{text}\nIntent:", ("card_arrival", "cash_withdrawal", "change_pin", "transfer", "refund")
    ),
    "long": Task(
        16,
        "Topic of the text: {text} =",
        ("sport", "politics", "文化"),
        dtype=torch.float16,
        extra={"temperature": 1.5, "abstain_threshold": 0.75},
    ),
    "pair": Task(8, "{text1} | {text2} ->", ("same", "other"), inputs=PAIRS, dtype=torch.bfloat16),
    "kv": Task(
        8, "{text}\nSentiment:", ("negative", "positive"), trained_head=False, prompt_type=PromptType.KV
    ),
    "acme/kv-long": Task(
        16,
        "{text}\nIntent:",
        ("card_arrival", "cash_withdrawal", "change_pin"),
        prompt_type=PromptType.KV,
        dtype=torch.float16,
    ),
    "topics": Task(
        8,
        "{text}\nTopics:",
        ("food", "film", "money", "文化"),
        prompt_type=PromptType.KV,
        kind=Kind.MULTI_LABEL,
        dtype=torch.bfloat16,
        extra={"temperature": 1.5, "thresholds": [0.5, 0.25, 0.625, 0.9375]},
    ),
}


# Not a secret: it signs nothing but fixtures.
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
SIGNED_AT = {
    "earlier": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    "later": datetime(2026, 1, 31, 9, 31, tzinfo=UTC),
}


def main(folder: Path = DEFAULT_FOLDER) -> None:
    """Write everything into `folder`, replacing what a former run has left there."""
    torch.set_num_threads(1)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    base = tiny_base()
    export_base(base, folder / "base", variants=[FULL_PRECISION, FP16])
    golden = {"base": _base_row(base), "tasks": {}}
    for seed, (name, task) in enumerate(TASKS.items()):
        tensors = _tensors(base, task, seed)
        file = folder / "tasks" / name / "adapter_model.safetensors"
        file.parent.mkdir(parents=True)
        file.write_bytes(_save(tensors, _metadata(base, task)))
        golden["tasks"][name] = [_row(base, task, tensors, texts) for texts in task.inputs]
    (folder / "golden.json").write_text(_one_row_a_line(golden), "utf-8")
    write_writers(base, folder, _save)
    (folder / "broken").mkdir()
    for name, data in _broken(base).items():
        (folder / "broken" / f"{name}.safetensors").write_bytes(data)
    (folder / "signed").mkdir()
    (folder / "signed/key.txt").write_text(SIGNER.public)
    artifact = (folder / "tasks/sentiment/adapter_model.safetensors").read_bytes()
    for name, at in SIGNED_AT.items():
        (folder / "signed" / f"{name}.safetensors").write_bytes(SIGNER.sign(artifact, "sentiment", at))


def tiny_base() -> LoadedBase:
    """Return the tiny base in memory; weights are large enough that every input gives another hidden row."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    random = np.random.default_rng(SEED)
    for name, parameter in model.named_parameters():
        noise = random.standard_normal(tuple(parameter.shape))
        if parameter.ndim == 1:
            values = 1 + 0.3 * noise
        else:
            values = noise * (0.35 if "embed_tokens" in name else parameter.shape[1] ** -0.5)
        parameter.copy_(torch.from_numpy(values))
    parameters = {name: parameter.numpy() for name, parameter in model.named_parameters()}
    chat_template = ChatTemplate(CHAT_TEMPLATE, "<|im_start|>", "<|im_end|>")
    return LoadedBase(NAME, model, _tokenizer(), fingerprint(parameters), chat_template)


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS.strip().splitlines(), trainer)
    return tokenizer


def _encode(base: LoadedBase, task: Task, texts: tuple[str, ...]) -> list[int]:
    """Fill the template in one pass and tokenise the whole, without the code that is under test."""
    fields = {"{text}": texts[0]} if len(texts) == 1 else {"{text1}": texts[0], "{text2}": texts[1]}
    filled, rest = "", task.template
    for name, text in fields.items():
        before, rest = rest.split(name)
        filled += before + text
    return base.tokenizer.encode(filled + rest, add_special_tokens=False).ids


def _tensors(base: LoadedBase, task: Task, seed: int) -> dict[str, torch.Tensor]:
    random = np.random.default_rng([SEED, seed])
    width = HIDDEN if task.prompt_type == PromptType.SOFT else KvShape.of_config(base.model.config).width
    tensors = {"prompt_embeddings": torch.from_numpy(random.standard_normal((task.tokens, width)))}
    if task.trained_head:
        tensors["label_head"] = torch.from_numpy(0.35 * random.standard_normal((len(task.labels), HIDDEN)))
        tensors["label_bias"] = torch.from_numpy(random.standard_normal(len(task.labels)))
    else:
        rows = base.model.get_output_embeddings().weight
        verbalizers = [
            base.tokenizer.encode(f" {label}", add_special_tokens=False).ids for label in task.labels
        ]
        tensors["label_head"] = torch.stack([rows[ids].mean(dim=0) for ids in verbalizers])
        tensors["label_bias"] = torch.zeros(len(task.labels))
    return {name: tensor.to(task.dtype) for name, tensor in tensors.items()}


def _metadata(loaded: LoadedBase, task: Task, **changes) -> dict[str, str]:
    record = {
        # The first tasks are as older versions wrote them.
        **({"schema": 1} if task.prompt_type == PromptType.SOFT else {"schema": 2, "prompt": "kv"}),
        "kind": task.kind.value,
        "base": {"name": loaded.name, "fingerprint": loaded.fingerprint},
        "template": task.template,
        "labels": list(task.labels),
        "temperature": 1.0,
        "abstain_threshold": None,
        "prefix_layouts": {},
        "metrics": {},
        "training": {"seed": SEED},
        **task.extra,
        **changes,
    }
    return {"format": "pt", "softcall": json.dumps(record, ensure_ascii=False)}


def _row(base: LoadedBase, task: Task, tensors: dict[str, torch.Tensor], texts: tuple[str, ...]) -> dict:
    """Ask PEFT."""
    ids = _encode(base, task, texts)
    hidden = _peft_hidden(base, task, tensors["prompt_embeddings"].float(), ids)
    logits = tensors["label_head"].float() @ hidden + tensors["label_bias"].float()
    scaled = logits / task.extra.get("temperature", 1.0)
    probs = torch.sigmoid(scaled) if task.kind == Kind.MULTI_LABEL else torch.softmax(scaled, dim=-1)
    return {
        "texts": texts,
        "ids": ids,
        "hidden": _list(hidden),
        "logits": _list(logits),
        "probs": _list(probs),
    }


def _peft_hidden(base: LoadedBase, task: Task, prompt: torch.Tensor, ids: list[int]) -> torch.Tensor:
    config = PrefixTuningConfig if task.prompt_type == PromptType.KV else PromptTuningConfig
    peft = get_peft_model(base.model, config(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=len(prompt)))
    peft.prompt_encoder["default"].embedding.weight.data.copy_(prompt)
    return _last_row_after_norm(base, lambda: peft(input_ids=torch.tensor([ids])))


def _base_row(base: LoadedBase) -> dict:
    ids = base.tokenizer.encode(TEXTS[0], add_special_tokens=False).ids
    hidden = _last_row_after_norm(base, lambda: base.model(input_ids=torch.tensor([ids])))
    return {"texts": [TEXTS[0]], "ids": ids, "hidden": _list(hidden)}


def _last_row_after_norm(base: LoadedBase, forward) -> torch.Tensor:
    seen = []
    hook = base.model.model.norm.register_forward_hook(
        lambda module, inputs, output: seen.append(output[0, -1])
    )
    with torch.no_grad():
        forward()
    hook.remove()
    (hidden,) = seen
    return hidden


def _broken(base: LoadedBase) -> dict[str, bytes]:
    """Artifacts that differ from a good one in the one thing that their name says."""
    task = TASKS["sentiment"]
    good = _tensors(base, task, 0)
    prompt = good["prompt_embeddings"]
    whole = _save(good, _metadata(base, task))
    header, data = _header_and_data(whole)
    start, end = header["label_bias"]["data_offsets"]
    kv, topics = (TASKS[name] for name in ("kv", "topics"))
    keys_and_values = _tensors(base, kv, 0)["prompt_embeddings"]
    overlapping = header | {"label_bias": header["label_bias"] | {"data_offsets": [start + 4, end + 4]}}

    def artifact(tensors: dict[str, torch.Tensor] | None = None, **metadata) -> bytes:
        return _save(good | (tensors or {}), _metadata(base, task, **metadata))

    return {
        "other-base": artifact(base={"name": "another", "fingerprint": "0123456789abcdef" * 4}),
        "wrong-size": artifact(
            {name: good[name][:, :32].contiguous() for name in ("prompt_embeddings", "label_head")}
        ),
        "nan": artifact({"prompt_embeddings": torch.where(prompt == prompt[3, 5], torch.nan, prompt)}),
        "truncated": whole[: len(whole) * 2 // 3],
        "multitask": artifact(
            {"prefix_task_cols": torch.ones(2, len(prompt), 1), "prefix_task_rows": torch.ones(2, 1, HIDDEN)}
        ),
        "huge-header": struct.pack("<Q", 2**60) + whole[8:],
        "duplicate-labels": artifact(labels=["positive", "positive"]),
        "head-mismatch": artifact({"label_head": good["label_head"].repeat(2, 1)[:3].contiguous()}),
        "too-many-tokens": artifact({"prompt_embeddings": prompt.half().repeat(257, 1)[:2049].contiguous()}),
        "no-positions": artifact({"prompt_embeddings": prompt.half().repeat(128, 1)}),
        "kv-heads": _save(good | {"prompt_embeddings": keys_and_values.repeat(1, 2)}, _metadata(base, kv)),
        "kv-infinite": _save(
            good
            | {
                "prompt_embeddings": torch.where(
                    keys_and_values == keys_and_values[3, 5], torch.inf, keys_and_values
                )
            },
            _metadata(base, kv),
        ),
        "kv-soft": _save(good, _metadata(base, kv)),
        "no-thresholds": _save(_tensors(base, topics, 0), _metadata(base, topics, thresholds=None)),
        "unknown-prompt": artifact(schema=2, prompt="deep"),
        "generation-kind": artifact(kind="generation"),
        "schema-3": artifact(schema=3),
        "no-metadata": _save({"prompt_embeddings": prompt}, {"format": "pt"}),
        "header-not-json": _join(b'{"prompt_embeddings": ', data),
        "overlapping-offsets": _join(json.dumps(overlapping).encode(), data),
    }


def _save(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """Serialise; the library orders the metadata differently on every run, so the header is sorted."""
    header, data = _header_and_data(safetensors.save(tensors, metadata))
    return _join(json.dumps(header, sort_keys=True, separators=(",", ":")).encode(), data)


def _header_and_data(file: bytes) -> tuple[dict, bytes]:
    end = 8 + struct.unpack("<Q", file[:8])[0]
    return json.loads(file[8:end]), file[end:]


def _join(header: bytes, data: bytes) -> bytes:
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def _list(values: torch.Tensor) -> list[float]:
    return [shortest_float(value) for value in values.numpy()]


def _one_row_a_line(golden: dict) -> str:
    def line(row):
        return json.dumps(row, ensure_ascii=False)

    tasks = ",\n".join(
        f" {json.dumps(name)}: [\n" + ",\n".join(map(line, rows)) + "\n ]"
        for name, rows in golden["tasks"].items()
    )
    return f'{{"base": {line(golden["base"])},\n"tasks": {{\n{tasks}\n}}}}\n'


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
