"""What is exported and what is refused, by name."""

import pytest
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from softcall.base.architectures import positions_served, require_architecture, require_expressible
from softcall.core.errors import SoftcallError


@pytest.mark.parametrize(
    "architecture", ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"]
)
def test_these_architectures_are_accepted(architecture):
    require_architecture(architecture, "the model")


@pytest.mark.parametrize(
    "architecture",
    [
        "GPT2LMHeadModel",
        "BloomForCausalLM",
        "T5ForConditionalGeneration",
        "Gemma2ForCausalLM",
        "MixtralForCausalLM",
        "LlamaForSequenceClassification",
    ],
)
def test_any_other_is_refused_by_name_with_the_list_of_what_is_accepted(architecture):
    with pytest.raises(SoftcallError) as refusal:
        require_architecture(architecture, "models/some")
    assert f"models/some is a {architecture}" in str(refusal.value)
    assert "LlamaForCausalLM (Llama 1 to 3, SmolLM, SmolLM2), MistralForCausalLM" in str(refusal.value)


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(),
        MistralConfig(sliding_window=None),
        MistralConfig(sliding_window=4096, max_position_embeddings=4096),
        Qwen2Config(),
        Qwen3Config(),
        LlamaConfig(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}),
    ],
    ids=lambda config: config.model_type,
)
def test_these_configurations_are_accepted(config):
    require_expressible(config, positions_served(config))


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (MistralConfig(), "sliding_window=4096 is shorter than the 131072 positions served"),
        (
            Qwen2Config(use_sliding_window=True, sliding_window=512, max_window_layers=0),
            "sliding_window=512 is shorter than the 32768 positions served",
        ),
        (
            LlamaConfig(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}),
            "rope_parameters.rope_type='dynamic'",
        ),
        (
            LlamaConfig(
                rope_parameters={
                    "rope_type": "longrope",
                    "rope_theta": 1e4,
                    "short_factor": [1.0] * 64,
                    "long_factor": [2.0] * 64,
                    "original_max_position_embeddings": 1024,
                }
            ),
            "rope_parameters.rope_type='longrope'",
        ),
        (
            LlamaConfig(
                rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
            ),
            "rope_parameters.partial_rotary_factor=0.5",
        ),
        (LlamaConfig(attn_logit_softcapping=50.0), "attn_logit_softcapping=50.0"),
        (LlamaConfig(final_logit_softcapping=30.0), "final_logit_softcapping=30.0"),
        (
            LlamaConfig(quantization_config={"quant_method": "gptq"}),
            "quantization_config={'quant_method': 'gptq'}",
        ),
    ],
)
def test_a_configuration_that_the_graph_cannot_express_is_refused_by_field_and_value(config, named):
    with pytest.raises(SoftcallError) as refusal:
        require_expressible(config, positions_served(config))
    assert named in str(refusal.value)


def test_a_sliding_window_is_accepted_when_no_more_positions_are_served():
    config = MistralConfig(sliding_window=4096)
    require_expressible(config, positions_served(config, 4096))
    with pytest.raises(SoftcallError, match="--max-positions 4096"):
        require_expressible(config, positions_served(config, 4097))


@pytest.mark.parametrize("positions", [-1, 0, 1, 2049])
def test_positions_beyond_what_the_model_has_are_refused(positions):
    with pytest.raises(SoftcallError, match=rf"--max-positions {positions}: 2 to 2048"):
        positions_served(LlamaConfig(max_position_embeddings=2048), positions)
