"""Write the tiny base as a GGUF file, as llama.cpp's converter and its quantisation to Q4_1 do."""

import json
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from make_tiny import CHAT_TEMPLATE

from softcall.base.source import LoadedBase

# Written out, not taken from the code under test.
TENSORS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(
    base: LoadedBase, file: Path, architecture: str = "llama", extra_tensor: str | None = None
) -> Path:
    """Write `base`, a Llama, to `file`; `extra_tensor` names one more tensor."""
    config = base.model.config
    writer = GGUFWriter(file, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, base)
    for name, parameter in base.model.named_parameters():
        _add_tensor(writer, name, parameter.numpy(), config)
    if extra_tensor:
        writer.add_tensor(extra_tensor, np.ones(8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add_tokenizer(writer: GGUFWriter, base: LoadedBase) -> None:
    model = json.loads(base.tokenizer.to_str())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(sorted(model["vocab"], key=model["vocab"].get))
    writer.add_token_types([3 if index < 3 else 1 for index in range(len(model["vocab"]))])
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_tensor(writer: GGUFWriter, name: str, array: np.ndarray, config) -> None:
    if name == "model.embed_tokens.weight":
        _add_quantized(writer, "token_embd.weight", array, GGMLQuantizationType.Q8_0)
    elif name == "lm_head.weight":
        _add_quantized(writer, "output.weight", array, GGMLQuantizationType.Q8_0)
    elif name == "model.norm.weight":
        writer.add_tensor("output_norm.weight", array)
    else:
        _, _, layer, part = name.removesuffix(".weight").split(".", 3)
        tensor = f"blk.{layer}.{TENSORS[part]}.weight"
        if array.ndim == 1:
            writer.add_tensor(tensor, array)
            return
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(
            TENSORS[part]
        )
        array = _permute(array, heads) if heads else array
        _add_quantized(writer, tensor, array, GGMLQuantizationType.Q4_1)


def _add_quantized(writer: GGUFWriter, tensor: str, array: np.ndarray, kind: GGMLQuantizationType) -> None:
    writer.add_tensor(tensor, quantize(array, kind), raw_dtype=kind)


def _permute(array: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's convert_hf_to_gguf.py does to the rows of q_proj and k_proj."""
    halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(array.shape))
