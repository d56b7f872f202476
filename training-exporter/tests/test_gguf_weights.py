"""Reading a GGUF file with numpy: transformers is the authority on what it holds."""

import numpy as np
import pytest
from make_tiny import tiny_base
from tiny_gguf import write_gguf

from softcall.base.fingerprint import fingerprint
from softcall.base.source import Source
from softcall.core.errors import SoftcallError
from softcall.export.weights.gguf import GgufWeights


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_gguf(tiny_base(), tmp_path_factory.mktemp("gguf") / "tiny.Q4_1.gguf")


def test_every_parameter_equals_what_transformers_loads(file):
    model, weights = Source.resolve(file).load().model, GgufWeights(file)
    parameters = dict(model.named_parameters())
    assert set(weights) == set(parameters)
    assert len(weights) == len(parameters)
    for name, parameter in parameters.items():
        assert weights[name].dtype == np.float32
        np.testing.assert_array_equal(weights[name], parameter.numpy(), name)


def test_the_fingerprint_is_the_same_on_both_ways(file):
    assert fingerprint(GgufWeights(file)) == Source.resolve(file).load().fingerprint


def test_quantisation_made_it_another_base_than_the_original(file):
    original = tiny_base()
    assert fingerprint(GgufWeights(file)) != original.fingerprint
    query = dict(original.model.named_parameters())["model.layers.1.self_attn.q_proj.weight"].numpy()
    close = GgufWeights(file)["model.layers.1.self_attn.q_proj.weight"]
    assert 0 < np.abs(close - query).max() < 0.05, "quantised, and its rows in the same order"


def test_a_file_of_another_architecture_is_refused(tmp_path):
    file = write_gguf(tiny_base(), tmp_path / "falcon.gguf", architecture="falcon")
    with pytest.raises(SoftcallError, match=r"general\.architecture is 'falcon'; 'llama' is expected"):
        GgufWeights(file)


def test_a_tensor_that_llama_does_not_have_is_refused(tmp_path):
    file = write_gguf(tiny_base(), tmp_path / "more.gguf", extra_tensor="rope_freqs.weight")
    with pytest.raises(SoftcallError, match=r"the tensor rope_freqs\.weight has no place in a Llama"):
        GgufWeights(file)


@pytest.mark.parametrize("length", [0, 4, 20, 5000])
def test_a_truncated_file_is_refused(file, tmp_path, length):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:length])
    with pytest.raises(SoftcallError, match=r"cut\.gguf is not a readable GGUF file"):
        GgufWeights(cut)
