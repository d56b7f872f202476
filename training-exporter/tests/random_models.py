"""Small random models, one of each accepted architecture's own configuration class."""

import torch
from make_tiny import tiny_base
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from softcall.base.fingerprint import fingerprint
from softcall.base.source import LoadedBase

_SIZES = {
    "vocab_size": 384,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def _rope(kind: str, **parameters) -> dict:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 1e4, **parameters}}


MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "llama, head size of its own": (LlamaForCausalLM, LlamaConfig, {"head_dim": 16}),
    "llama, head size that cannot be decoded": (LlamaForCausalLM, LlamaConfig, {"head_dim": 20}),
    "llama, biases": (LlamaForCausalLM, LlamaConfig, {"attention_bias": True, "mlp_bias": True}),
    "llama, one key per head": (LlamaForCausalLM, LlamaConfig, {"num_key_value_heads": 6}),
    "llama, gelu": (LlamaForCausalLM, LlamaConfig, {"hidden_act": "gelu"}),
    "llama, linear rope": (LlamaForCausalLM, LlamaConfig, _rope("linear", factor=4.0)),
    "llama, llama3 rope": (
        LlamaForCausalLM,
        LlamaConfig,
        _rope(
            "llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=64,
        ),
    ),
    "llama, yarn rope": (
        LlamaForCausalLM,
        LlamaConfig,
        _rope("yarn", factor=4.0, original_max_position_embeddings=128),
    ),
    "smollm2": (LlamaForCausalLM, LlamaConfig, {"tie_word_embeddings": True}),
    "mistral": (MistralForCausalLM, MistralConfig, {"sliding_window": 512}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {}),
    "qwen2.5": (Qwen2ForCausalLM, Qwen2Config, {"tie_word_embeddings": True}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 24}),
}

WRITERS = [name for name in MODELS if "cannot be decoded" not in name]
"""The models that write texts."""


def random_model(name: str, **others) -> PreTrainedModel:
    """Return a model whose every parameter, norms and biases included, matters; `others` are other sizes."""
    model_class, config_class, fields = MODELS[name]
    torch.manual_seed(3)
    torch.set_num_threads(1)
    model = model_class(config_class(**{**_SIZES, **fields, **others})).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(
            1 if parameter.ndim == 1 else 0, 0.3 if parameter.ndim == 1 else parameter.shape[-1] ** -0.5
        )
    return model


def random_base(name: str, **others) -> LoadedBase:
    """Return it as what the exporter takes, with the tiny base's tokenizer; `others` are other sizes."""
    model = random_model(name, **others)
    parameters = {name: parameter.numpy() for name, parameter in model.named_parameters()}
    return LoadedBase(name, model, tiny_base().tokenizer, fingerprint(parameters))
