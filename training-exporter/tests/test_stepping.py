"""What takes the steps of training: another way to the same values and gradients."""

from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from make_tiny import tiny_base
from torch import nn

from softcall.evaluation.classifier import PromptedClassifier, label_logits, pad_right
from softcall.evaluation.prompt import SoftPrompt
from softcall.training.compute.prefixed_trunk import ATTENTION
from softcall.training.compute.stepping import stepping_trunk
from softcall.training.settings.config import TrainConfig

CONFIG = TrainConfig(data=Path("a.jsonl"), out=Path("a.safetensors"))
ROWS = [[5, 6, 7, 8, 9, 10], [11, 12, 13]]


def loss_and_gradient(trunk, classifier):
    classifier.zero_grad()
    device = classifier.device
    (logits,) = label_logits(trunk, [classifier], [pad_right(ROWS, device)])
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1], device=device))
    loss.backward()
    return loss.item(), classifier.prompt.learnt.grad.clone()


@pytest.fixture
def trunk():
    return tiny_base().model.base_model


@pytest.fixture
def classifier(trunk):
    rows = trunk.get_input_embeddings().weight.detach().numpy()
    return PromptedClassifier(SoftPrompt(rows[20:28]), rows[30:32], rows[0, :2], train_head=True)


def test_attention_without_a_mask_is_causal_attention(trunk, classifier):
    expected = loss_and_gradient(trunk, classifier)
    trunk.set_attn_implementation(ATTENTION)
    assert trunk.config._attn_implementation == ATTENTION
    loss, gradient = loss_and_gradient(trunk, classifier)
    assert loss == pytest.approx(expected[0], abs=1e-5)
    torch.testing.assert_close(gradient, expected[1], atol=1e-5, rtol=1e-4)


def test_attention_without_a_mask_is_causal_behind_a_prompt_s_keys_and_values_too(trunk, classifier):
    batch = pad_right(ROWS, torch.device("cpu"))
    expected = label_logits(trunk, [classifier], [batch])[0]
    trunk.set_attn_implementation(ATTENTION)
    torch.testing.assert_close(classifier(trunk, *batch), expected, atol=1e-5, rtol=1e-4)


def test_in_float32_on_a_cpu_the_trunk_itself_steps_and_in_less_a_copy(trunk):
    assert stepping_trunk(trunk, CONFIG) is trunk
    half = stepping_trunk(trunk, replace(CONFIG, dtype="bfloat16"))
    assert half is not trunk and half.dtype == torch.bfloat16 and trunk.dtype == torch.float32
    assert stepping_trunk(trunk, replace(CONFIG, dtype="bfloat16"), own=True) is trunk


def test_compiled_layers_compute_the_same(trunk, classifier, monkeypatch):
    """Compiled up to the kernels: making these takes a minute, and is tested on a GPU."""
    whole = partialmethod(nn.Module.compile, backend="aot_eager", fullgraph=True)
    monkeypatch.setattr(nn.Module, "compile", whole)
    expected = loss_and_gradient(trunk, classifier)
    compiled = stepping_trunk(trunk, replace(CONFIG, compiled=True))
    loss, gradient = loss_and_gradient(compiled, classifier)
    assert loss == pytest.approx(expected[0], abs=1e-5)
    torch.testing.assert_close(gradient, expected[1], atol=1e-5, rtol=1e-4)
    assert loss_and_gradient(trunk, classifier)[0] == expected[0]  # it is a copy that was compiled


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("compiled", [False, True])
def test_graphs_on_a_gpu_compute_the_same_for_every_shape(trunk, classifier, compiled):
    trunk, classifier = trunk.cuda(), classifier.cuda()
    expected = loss_and_gradient(trunk, classifier)
    graphed = stepping_trunk(trunk, replace(CONFIG, compiled=compiled))
    for _ in range(6):  # as it is, captured, and replayed
        loss, gradient = loss_and_gradient(graphed, classifier)
        assert loss == pytest.approx(expected[0], abs=1e-4)
        torch.testing.assert_close(gradient, expected[1], atol=1e-4, rtol=1e-3)
