"""KV prompts in PyTorch: PEFT's answers, and the same gradients however steps are computed."""

import copy
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
import torch
from make_tiny import HIDDEN, TEXTS, tiny_base
from peft import PeftModel, PrefixTuningConfig
from random_models import MODELS, random_model
from torch import nn

from softcall.artifact.artifact import ClassificationArtifact
from softcall.artifact.metadata import PromptType
from softcall.artifact.template import Template
from softcall.base.identity import KvShape
from softcall.core.errors import SoftcallError
from softcall.evaluation.classifier import PromptedClassifier, label_logits, pad_right
from softcall.evaluation.prompt import KvPrompt, SoftPrompt
from softcall.training.compute.determinism import deterministic
from softcall.training.compute.prefixed_trunk import ATTENTION, PrefixedTrunk
from softcall.training.compute.stepping import stepping_trunk
from softcall.training.settings.config import TrainConfig

CONFIG = TrainConfig(data=Path("a.jsonl"), out=Path("a.safetensors"))
CPU = torch.device("cpu")
BASE = tiny_base()
TEMPLATE = Template("{text}\nIntent:")
ROWS = [TEMPLATE.encode(BASE.tokenizer, [text]) for text in TEXTS]


def encoded(trunk, tokens=8, seed=3):
    """A KV prompt that begins with what the trunk computes of random vectors, and has learnt something."""
    random = np.random.default_rng(seed)
    prompt = KvPrompt.encoded(random.standard_normal((tokens, trunk.config.hidden_size)), trunk)
    with torch.no_grad():
        prompt.learnt.copy_(0.5 * torch.from_numpy(random.standard_normal(prompt.learnt.shape)))
    return prompt


def classifier(trunk, tokens=8, seed=3):
    head = np.random.default_rng(seed).standard_normal((3, trunk.config.hidden_size))
    return PromptedClassifier(encoded(trunk, tokens, seed), head, np.zeros(3), train_head=True)


def prefixed(trunk):
    trunk = copy.deepcopy(trunk)
    trunk.set_attn_implementation(ATTENTION)
    return PrefixedTrunk(trunk)


def gradients(logits, *classifiers):
    """The gradients of everything that learns, after a loss that differs from row to row."""
    for each in classifiers:
        each.zero_grad()
    sum((part * torch.arange(1, part.numel() + 1).view_as(part)).sum() for part in logits).backward()
    return [parameter.grad.clone() for each in classifiers for parameter in each.parameters()]


def close(found, expected, atol=1e-4):
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one / scale, other / scale, atol=atol, rtol=0)


def test_a_kv_prompt_is_answered_as_by_peft(tmp_path):
    trunk = BASE.model.base_model
    stored = classifier(trunk).stored()
    artifact = ClassificationArtifact(
        prompt=stored.prompt.array(),
        label_head=stored.label_head.detach().numpy(),
        label_bias=stored.label_bias.detach().numpy(),
        template=TEMPLATE,
        labels=("a", "b", "c"),
        base_name=BASE.name,
        base_fingerprint=BASE.fingerprint,
        prompt_type=PromptType.KV,
    )
    kv = KvShape.of_config(BASE.model.config)
    PrefixTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=8,
        num_layers=kv.layers,
        token_dim=kv.kv_heads * kv.head_dim,
        num_attention_heads=kv.kv_heads,
    ).save_pretrained(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(artifact.to_bytes())
    peft = PeftModel.from_pretrained(tiny_base().model, tmp_path).eval()
    hidden = [
        peft(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, -1].detach()
        for ids in ROWS
    ]
    expected = torch.stack(hidden).numpy() @ artifact.label_head.T + artifact.label_bias
    assert artifact.prompt.dtype == np.float16
    for scored in (PromptedClassifier.of(artifact, kv), stored):
        np.testing.assert_allclose(scored.score(trunk, ROWS), expected, atol=1e-4)


def test_a_start_answers_as_the_soft_prompt_that_it_was_made_of():
    vectors = np.random.default_rng(4).standard_normal((8, HIDDEN))
    trunk, head = BASE.model.base_model, np.eye(3, HIDDEN)
    soft, kv = (
        PromptedClassifier(prompt, head, np.zeros(3)).score(trunk, ROWS)
        for prompt in (SoftPrompt(vectors), KvPrompt.encoded(vectors, trunk))
    )
    np.testing.assert_allclose(kv, soft, atol=1e-5)


def test_each_head_of_keys_or_values_learns_in_units_of_its_own():
    prompt = KvPrompt.encoded(np.random.default_rng(4).standard_normal((8, HIDDEN)), BASE.model.base_model)
    assert prompt.learnt.shape == (4, 2, 8, 16) and not prompt.learnt.any()
    begun = prompt.array().astype(np.float32)
    with torch.no_grad():
        prompt.learnt[1, 0] = 1.0  # the values of layer 0, in its first head
    moved = (prompt.array() - begun).reshape(8, 4, 2, 16)
    assert moved[:, 1, 0] == pytest.approx(begun.reshape(8, 4, 2, 16)[:, 1, 0].std(), rel=1e-2)
    moved[:, 1, 0] = 0
    assert not moved.any()


def test_heads_that_do_not_vary_can_be_learnt_too():
    assert (KvPrompt(np.zeros((4, 2, 8, 16))).scale == 1).all()


def test_numbers_that_float16_cannot_hold_are_refused():
    prompt = encoded(BASE.model.base_model)
    with torch.no_grad():
        prompt.learnt[3, 1, 0, 0] = 1e6
    with pytest.raises(SoftcallError, match=r"the KV prompt's values of layer 1 reach .*ends at 65,504"):
        prompt.stored()
    with torch.no_grad():
        prompt.learnt[2, 1, 0, 0] = torch.nan
    with pytest.raises(SoftcallError, match="keys of layer 1 reach nan"):
        prompt.array()


def test_prompts_of_one_length_in_one_run_equal_each_alone_in_logits_and_gradients():
    trunk = BASE.model.base_model
    several = [classifier(trunk, seed=seed) for seed in (3, 4, 5)]
    batches = [pad_right(part, CPU) for part in (ROWS[:4], ROWS[2:5], ROWS[5:6])]
    expected = [one(trunk, *batch) for one, batch in zip(several, batches, strict=True)]
    alone = gradients(expected, *several)
    logits = label_logits(prefixed(trunk), several, batches)
    close(logits, expected)
    close(gradients(logits, *several), alone)


def test_prompts_of_unequal_lengths_or_types_have_other_forms():
    trunk = BASE.model.base_model
    forms = [encoded(trunk, 8).form, encoded(trunk, 16).form, SoftPrompt(np.zeros((8, HIDDEN))).form]
    assert len(set(forms)) == 3
    assert forms[2] == SoftPrompt(np.zeros((3, HIDDEN))).form


@pytest.mark.parametrize("name", MODELS)
def test_layers_without_a_cache_compute_the_same(name):
    trunk = random_model(name).base_model
    one, batch = classifier(trunk), pad_right(ROWS[:3], CPU)
    expected = [one(trunk, *batch)]
    exact = gradients(expected, one)
    logits = label_logits(prefixed(trunk), [one], [batch])
    close(logits, expected)
    close(gradients(logits, one), exact)


@pytest.mark.parametrize("options", [{"compiled": True}, {"gradient_checkpointing": True}])
def test_compiled_and_checkpointed_steps_compute_the_same(monkeypatch, options):
    """Compiled up to the kernels, as in test_stepping; all layers and lengths share the compiled graphs."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    monkeypatch.setattr(
        nn.Module, "compile", partialmethod(nn.Module.compile, backend=backend, fullgraph=True)
    )
    trunk = random_model("smollm2", num_hidden_layers=6).base_model
    one = classifier(trunk)
    stepping = stepping_trunk(trunk, replace(CONFIG, **options))
    for rows in (ROWS[:3], ROWS[3:5], ROWS[5:9]):
        batch = pad_right(rows, CPU)
        expected = [one(trunk, *batch)]
        exact = gradients(expected, one)
        logits = label_logits(stepping, [one], [batch])
        close(logits, expected)
        close(gradients(logits, one), exact)
    assert len(graphs) < 4  # one for the first layer, whose inputs take no gradients


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("dtype", "atol"), [("float32", 1e-3), ("bfloat16", 5e-2)])
def test_graphs_on_a_gpu_compute_the_same_for_every_shape(compiled, dtype, atol):
    trunk = random_model("smollm2", num_hidden_layers=6).base_model.cuda()
    several = [classifier(trunk, seed=seed).cuda() for seed in (3, 4)]
    stepping = stepping_trunk(copy.deepcopy(trunk), replace(CONFIG, compiled=compiled, dtype=dtype))
    with deterministic(), torch.autocast("cuda", torch.bfloat16, dtype == "bfloat16", cache_enabled=False):
        for rows in (ROWS[:3], ROWS[3:5], ROWS[5:9]):
            batches = [pad_right(rows, torch.device("cuda"))] * 2
            with torch.autocast("cuda", enabled=False):
                expected = [one(trunk, *batch) for one, batch in zip(several, batches, strict=True)]
                exact = gradients(expected, *several)
            runs = []
            for _ in range(6):  # as it is, captured, and replayed
                logits = label_logits(stepping, several, batches)
                close(logits, expected, atol)
                runs.append(gradients(logits, *several))
                close(runs[-1], exact, atol)
            assert all(map(torch.equal, runs[-1], runs[-2]))
