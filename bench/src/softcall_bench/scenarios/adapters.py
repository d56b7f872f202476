"""Every kind of adapter that PEFT makes of a prompt, on the real base: served logits beside PEFT's own.

Each adapter holds the shipped task's prompt in its own way: multiplied, projected, bounded, or as keys and
values. So each answers as well as the shipped task, and int8 has margins to keep.
"""

import gc
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import (
    CartridgeConfig,
    CPTConfig,
    MultitaskPromptTuningConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForSequenceClassification

from softcall.artifact.task_description import TaskDescription
from softcall.base.source import LoadedBase, Source
from softcall.prompt_formats import read_prompt
from softcall.stores.store import OBJECT
from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.server import Server, serving

SCENARIO = "adapters"
TEXTS = 300
CALL = 30
FEATURES = 64  # of projections: more than the prompt has tokens, so that they can give any prompt
RELATIVE = 1e-4  # what a logit may differ by beside an absolute difference


@dataclass(frozen=True)
class Adapter:
    """A method of PEFT: its configuration, and how its parameters come to hold a prompt [tokens, width]."""

    name: str
    config: Callable[..., Any]
    fill: Callable[[nn.Module, torch.Tensor], None]
    is_kv: bool = False
    is_classifier: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    asked_with: Mapping[str, Any] = field(default_factory=dict)


def _fill(encoder: nn.Module, prompt: torch.Tensor) -> None:
    encoder.embedding.weight.data.copy_(prompt)


def _fill_multitask(encoder: nn.Module, prompt: torch.Tensor) -> None:
    for factor in (encoder.prefix_task_cols, encoder.prefix_task_rows):
        factor.data.uniform_(0.5, 1.5)
    encoder.embedding.weight.data.copy_(prompt / (encoder.prefix_task_cols @ encoder.prefix_task_rows)[0])


def _fill_context(encoder: nn.Module, prompt: torch.Tensor) -> None:
    encoder.delta_embedding.weight.data.normal_(0, 1e-4)
    encoder.embedding.weight.data.copy_(prompt - encoder.get_projection())


def _fill_cartridge(encoder: nn.Module, prompt: torch.Tensor) -> None:
    encoder.load_prompt_embeddings(prompt)


def _fill_network(network: str) -> Callable[[nn.Module, torch.Tensor], None]:
    """Choose the last layer of an encoder's network so that its output is the prompt."""

    def fill(encoder: nn.Module, prompt: torch.Tensor) -> None:
        layers = getattr(encoder, network)
        encoder.embedding.weight.data.normal_()
        with torch.no_grad():
            features = layers[:-1](encoder.embedding.weight)
            layers[-1].bias.zero_()
            layers[-1].weight.copy_(torch.linalg.lstsq(features.double(), prompt.double()).solution.T)

    return fill


ADAPTERS = (
    Adapter("PROMPT_TUNING", PromptTuningConfig, _fill),
    Adapter("PROMPT_TUNING, SEQ_CLS", PromptTuningConfig, _fill, is_classifier=True),
    Adapter(
        "MULTITASK_PROMPT_TUNING",
        MultitaskPromptTuningConfig,
        _fill_multitask,
        options={"num_tasks": 1, "num_ranks": 1},
        asked_with={"task_ids": torch.tensor([0])},
    ),
    Adapter(
        "P_TUNING", PromptEncoderConfig, _fill_network("mlp_head"), options={"encoder_hidden_size": FEATURES}
    ),
    Adapter("CPT", CPTConfig, _fill_context),
    Adapter("PREFIX_TUNING", PrefixTuningConfig, _fill, is_kv=True),
    Adapter("PREFIX_TUNING, SEQ_CLS", PrefixTuningConfig, _fill, is_kv=True, is_classifier=True),
    Adapter(
        "PREFIX_TUNING, projection",
        PrefixTuningConfig,
        _fill_network("transform"),
        is_kv=True,
        options={"prefix_projection": True, "encoder_hidden_size": FEATURES},
    ),
    Adapter("CARTRIDGE", CartridgeConfig, _fill_cartridge, is_kv=True, options={"num_frozen_tokens": 1}),
)


def run(bench: Bench) -> None:
    """Let PEFT answer for each adapter, one text at a time; then ask servers of each variant."""
    store = bench.scratch(SCENARIO)
    shutil.rmtree(store, ignore_errors=True)
    texts = bench.workload.sentences[:: len(bench.workload.sentences) // TEXTS][: bench.rounds(TEXTS)]
    expected = dict(_peft(bench, store, [text.ids for text in texts]))
    gc.collect()
    for variant in bench.variants:
        with serving(f"file:{store / 'tasks'}", variant, f"{SCENARIO}-{variant}") as server:
            for adapter in ADAPTERS:
                found = _logits(server, _task(adapter), [text.text for text in texts])
                figures = _compare(found, expected[adapter.name])
                bench.book.add(Key(SCENARIO, "softcall", variant, detail=adapter.name), figures)
                told = ", ".join(f"{name} {value:.2g}" for name, value in figures.items())
                bench.say(f"{variant}, {adapter.name}: {told}")


def _task(adapter: Adapter) -> str:
    return adapter.name.lower().replace(", ", "-")


def _peft(bench: Bench, store: Path, ids: list[tuple[int, ...]]) -> Iterator[tuple[str, np.ndarray]]:
    """Give PEFT's label logits [texts, labels] of each adapter, whose task is then in the store."""
    base = Source.resolve(None).load()
    artifact, bundle = bench.workload.artifact, bench.workload.base
    prompts = {
        False: torch.tensor(artifact.prompt),
        True: torch.tensor(bundle.identity.kv.prompt(artifact.prefix(bundle))),
    }
    head, bias = torch.tensor(artifact.label_head), torch.tensor(artifact.label_bias)
    description = TaskDescription(artifact.template, artifact.labels)
    for number, adapter in enumerate(ADAPTERS):
        bench.say(f"PEFT answers {len(ids)} texts: {adapter.name}")
        torch.manual_seed(number)
        model = _classifier(base, head) if adapter.is_classifier else base.model
        model = get_peft_model(model, _config(adapter, artifact.tokens, base)).eval()
        adapter.fill(model.prompt_encoder["default"], prompts[adapter.is_kv])
        folder = store / "adapters" / _task(adapter)
        model.save_pretrained(folder)
        if not adapter.is_classifier:
            file = folder / OBJECT
            save_file(load_file(file) | {"label_head": head, "label_bias": bias}, file)
        yield adapter.name, np.stack([_asked(model, adapter, row, head, bias) for row in ids])
        task = store / "tasks" / _task(adapter) / OBJECT
        task.parent.mkdir(parents=True)
        task.write_bytes(read_prompt(folder).fold(bundle, description).to_bytes())


def _config(adapter: Adapter, tokens: int, base: LoadedBase) -> Any:
    options = dict(adapter.options)
    if adapter.config is CPTConfig:
        options = {
            "cpt_token_ids": list(range(tokens)),
            "cpt_mask": [1] * tokens,
            "cpt_tokens_type_mask": [1 + number % 4 for number in range(tokens)],
        }
    task_type = "SEQ_CLS" if adapter.is_classifier else "CAUSAL_LM"
    return adapter.config(task_type=task_type, num_virtual_tokens=tokens, **options)


def _classifier(base: LoadedBase, head: torch.Tensor) -> nn.Module:
    config = type(base.model.config).from_dict(base.model.config.to_dict() | {"num_labels": len(head)})
    model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    model.model = base.model.model
    model.score.weight.data.copy_(head)
    return model


@torch.no_grad()
def _asked(
    model: nn.Module, adapter: Adapter, ids: tuple[int, ...], head: torch.Tensor, bias: torch.Tensor
) -> np.ndarray:
    row = torch.tensor([ids])
    if adapter.is_classifier:
        return model(input_ids=row).logits[0].numpy()
    answer = model(input_ids=row, output_hidden_states=True, **adapter.asked_with)
    return (head @ answer.hidden_states[-1][0, -1] + bias).numpy()


def _logits(server: Server, task: str, texts: list[str]) -> np.ndarray:
    rows = []
    for start in range(0, len(texts), CALL):
        answer = server.require(task, texts[start : start + CALL], logits=True)
        rows += [item["logits"] for item in answer.body["data"]]
    return np.array(rows)


def _compare(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Give what a logit differs by beyond `RELATIVE` of it, and the share of equal labels."""
    differences = np.abs(found - expected) - RELATIVE * np.abs(expected)
    agreement = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
    return {"difference": max(0.0, float(differences.max())), "agreement": agreement}
