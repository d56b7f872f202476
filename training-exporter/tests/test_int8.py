"""The int8 variant: what it computes, what a row depends on, what its smoothing leaves alone."""

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from independent_rows import (
    assert_a_row_of_zeros_gives_no_nan,
    assert_a_rows_answer_does_not_depend_on_the_others,
)
from random_models import random_base

from softcall.base.architectures import require_architecture
from softcall.base.trunk import past_names
from softcall.export.base_export import export_base
from softcall.export.calibration import smoothing_factors
from softcall.export.graphs.int8 import int8_graph
from softcall.export.int8_reference import int8_reference
from softcall.export.kept_graph import GRAPHS
from softcall.export.weights.int8 import WEIGHT_STEPS, quantized
from softcall.export.weights.smoothing import Smoothed

LLAMA = require_architecture("llama", "the model")


@pytest.fixture(scope="module")
def base():
    return random_base("llama, biases")


@pytest.fixture(scope="module")
def bundle(base, tmp_path_factory):
    return export_base(base, tmp_path_factory.mktemp("int8") / "base")[0]


@pytest.fixture(scope="module")
def parameters(base):
    return {name: parameter.detach().numpy() for name, parameter in base.model.named_parameters()}


@pytest.fixture(scope="module")
def factors(base, bundle, parameters):
    return smoothing_factors(
        bundle.folder / bundle.variant().graph, parameters, base.tokenizer, base.architecture
    )


def test_a_smoothed_model_computes_what_it_did_before(base, parameters, factors):
    ids = torch.from_numpy(np.random.default_rng(1).integers(0, 384, (2, 30)))
    smoothed = Smoothed(parameters, factors, LLAMA)
    other = random_base("llama, biases").model
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(smoothed[name])))
        expected, found = base.model(ids).logits, other(ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert any(not np.array_equal(smoothed[name], parameters[name]) for name in parameters)


def test_smoothing_leaves_keys_and_values_alone(parameters, factors):
    """Their products take other inputs and weights, but give the same: a prefix of full precision fits."""
    smoothed = Smoothed(parameters, factors, LLAMA)
    rows = np.random.default_rng(2).normal(size=(5, 48)).astype(np.float32)
    at = "model.layers.1"
    norm = parameters[f"{at}.input_layernorm.weight"], smoothed[f"{at}.input_layernorm.weight"]
    for part in ("k", "v"):
        name = f"{at}.self_attn.{part}_proj.weight"
        expected, found = (rows * norm[0]) @ parameters[name].T, (rows * norm[1]) @ smoothed[name].T
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert smoothed[f"{at}.self_attn.{part}_proj.bias"] is parameters[f"{at}.self_attn.{part}_proj.bias"]


def test_weights_are_within_half_a_step(parameters, factors):
    smoothed = Smoothed(parameters, factors, LLAMA)
    name = "model.layers.0.mlp.down_proj.weight"
    integers, scales = quantized(smoothed, f"{name}.T")
    assert (integers.shape, scales.shape, integers.dtype) == ((80, 48), (48,), np.int8)
    assert np.abs(integers).max() == WEIGHT_STEPS
    assert np.all(np.abs(integers * scales - smoothed[name].T) <= scales / 2 * 1.001)


def test_weights_side_by_side_are_those_of_each(parameters, factors):
    smoothed = Smoothed(parameters, factors, LLAMA)
    names = [f"model.layers.0.self_attn.{part}_proj.weight.T" for part in ("q", "k", "v")]
    integers, scales = quantized(smoothed, "+".join(names))
    each = [quantized(smoothed, name) for name in names]
    np.testing.assert_array_equal(integers, np.concatenate([columns for columns, _ in each], 1))
    np.testing.assert_array_equal(scales, np.concatenate([scales for _, scales in each]))


def test_two_products_fit_in_16_bits():
    """What processors without VNNI need: they add two at a time."""
    assert 2 * 255 * WEIGHT_STEPS < 2**15


def test_a_rows_answer_does_not_depend_on_the_others(bundle):
    assert_a_rows_answer_does_not_depend_on_the_others(bundle, "int8")


def test_a_row_of_zeros_gives_no_nan(bundle):
    assert_a_row_of_zeros_gives_no_nan(bundle, "int8")


def test_it_computes_what_pytorch_does_with_the_same_integers(base, bundle, factors):
    reference = int8_reference(base.model, factors)
    ids = np.random.default_rng(4).integers(0, 384, (1, 20))
    with torch.no_grad():
        expected = reference.model(torch.from_numpy(ids)).last_hidden_state[0, -1].numpy()
        full = base.model.model(torch.from_numpy(ids)).last_hidden_state[0, -1].numpy()
    found = bundle.trunk("int8").hidden(ids, np.array([19]))[0]
    wrong = np.abs(found - expected).max()
    assert wrong < 0.02 * np.abs(expected).max()
    assert wrong < np.abs(full - expected).max()  # it is nearer to the integers than those to full precision


def test_narrow_products_of_one_input_are_one():
    """In SmolLM2-135M query, key and value are; gate and up, which are wide, are not."""
    folder = GRAPHS / "SmolLM2-135M-Instruct-Q4_1"
    full = onnx.load(folder / "fp32/trunk.onnx", load_external_data=False)
    operators = Counter(node.op_type for node in int8_graph(full).graph.node)
    assert operators["MatMulIntegerToFloat"] == 30 * 5
    assert operators["Split"] == 30
    assert operators["QuantizeLinear"] == 30 * 4
    assert operators["Transpose"] == 1  # of angles


def test_what_is_kept_in_full_precision_stays_a_product_of_floats(bundle):
    full = onnx.load(bundle.folder / bundle.variant().graph, load_external_data=False)
    kept = [n for n in int8_graph(full, kept=["down_proj"]).graph.node if n.op_type == "MatMul"]
    everything = [n for n in int8_graph(full).graph.node if n.op_type == "MatMul"]
    assert len(kept) - len(everything) == 2
    assert [value.name for value in int8_graph(full).graph.input] == [v.name for v in full.graph.input]
    assert past_names(2)[0] in [value.name for value in full.graph.input]
