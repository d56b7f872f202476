"""Model architectures: where a model keeps its parts, and which models the trunk graph can express.

Another architecture is another entry of `ARCHITECTURES`; what depends on an architecture reads it from there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from softcall.core.errors import SoftcallError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Channels:
    """Channels that the parameter `source` scales and the weights `readers` read, by Hugging Face names.

    SmoothQuant measures their values, divides the source by factors, and multiplies the readers by them.
    """

    source: str
    readers: tuple[str, ...]

    def inside(self, module: str) -> "Channels":
        """Return the same channels, named from the root of the model."""
        return Channels(f"{module}.{self.source}", tuple(f"{module}.{reader}" for reader in self.readers))


@dataclass(frozen=True)
class GgufNames:
    """How GGUF files name the parameters of an architecture.

    - `model`: names of tensors outside the layers to names of parameters
    - `layer`: parts of a layer (`attn_q` of `blk.3.attn_q.weight`) to modules of the layer
    - `heads`: parts whose rows llama.cpp reorders, to the metadata's key with their number of heads
    """

    model: Mapping[str, str]
    layer: Mapping[str, str]
    heads: Mapping[str, str]


@dataclass(frozen=True)
class Architecture:
    """A causal language model: where its parts are found.

    - `name`: its class, as a `config.json` gives it
    - `family`: what GGUF files call it, and a `config.json` that names no class
    - `models`: models that are built so, for people
    - `trunk`: the attribute of the model that holds all but the vocabulary head
    - `embedding`, `layers`, `rotation` (the rotary embedding) and `norm` (the last one): attributes of the
      trunk
    - `positions`: the configuration's field with the number of positions
    - `smoothed`: the channels of a layer that are smoothed, named from the layer
    - `gguf`: the names of a GGUF file's tensors; None where GGUF files are read with PyTorch alone
    """

    name: str
    family: str
    models: str
    smoothed: tuple[Channels, ...]
    trunk: str = "model"
    embedding: str = "embed_tokens"
    layers: str = "layers"
    rotation: str = "rotary_emb"
    norm: str = "norm"
    positions: str = "max_position_embeddings"
    gguf: GgufNames | None = None

    @property
    def embedding_weight(self) -> str:
        """The parameter with the input embedding, [vocabulary, hidden]."""
        return f"{self.trunk}.{self.embedding}.weight"

    def layer(self, number: int | str) -> str:
        """Return the name of a layer's module, with which its parameters' names begin."""
        return f"{self.trunk}.{self.layers}.{number}"

    def is_inside_layers(self, name: str) -> bool:
        """Whether a module or parameter belongs to one of the layers."""
        return name.startswith(f"{self.trunk}.{self.layers}.")

    def layers_of(self, trunk: "nn.Module") -> "nn.ModuleList":
        """Return the layers of a trunk."""
        return getattr(trunk, self.layers)

    def rotation_of(self, trunk: "nn.Module") -> "nn.Module":
        """Return the module that computes the rotations of positions."""
        return getattr(trunk, self.rotation)

    def norm_of(self, trunk: "nn.Module") -> "nn.Module":
        """Return the norm behind the last layer."""
        return getattr(trunk, self.norm)

    def smoothed_channels(self, layers: int) -> Iterator[Channels]:
        """Yield every group of channels that is smoothed, layer by layer."""
        for number in range(layers):
            yield from (channels.inside(self.layer(number)) for channels in self.smoothed)

    def positions_of(self, config: Any) -> int:
        """Return the number of positions of a transformers configuration."""
        return getattr(config, self.positions)


_LLAMA_CHANNELS = (
    Channels("input_layernorm.weight", tuple(f"self_attn.{part}_proj.weight" for part in ("q", "k", "v"))),
    Channels("post_attention_layernorm.weight", tuple(f"mlp.{part}_proj.weight" for part in ("gate", "up"))),
    Channels("mlp.up_proj.weight", ("mlp.down_proj.weight",)),
)

_LLAMA_GGUF = GgufNames(
    model={
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    },
    layer={
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
    },
    heads={"attn_q": "llama.attention.head_count", "attn_k": "llama.attention.head_count_kv"},
)

ARCHITECTURES = (
    Architecture(
        "LlamaForCausalLM", "llama", "Llama 1 to 3, SmolLM, SmolLM2", _LLAMA_CHANNELS, gguf=_LLAMA_GGUF
    ),
    Architecture("MistralForCausalLM", "mistral", "Mistral", _LLAMA_CHANNELS),
    Architecture("Qwen2ForCausalLM", "qwen2", "Qwen2, Qwen2.5", _LLAMA_CHANNELS),
    Architecture("Qwen3ForCausalLM", "qwen3", "Qwen3", _LLAMA_CHANNELS),
)
"""The architectures that are accepted."""

_BY_NAME = {name: each for each in ARCHITECTURES for name in (each.name, each.family)}

ROPE_TYPES = ("default", "linear", "llama3", "yarn")
"""Rotary embeddings whose frequencies do not depend on the length of the text."""

_MUST_BE_UNSET = (
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "attention_chunk_size",
    "quantization_config",
)


def require_architecture(name: str | None, where: str) -> Architecture:
    """Return the architecture with this class name or family; `SoftcallError` lists what is accepted."""
    if name not in _BY_NAME:
        accepted = ", ".join(f"{each.name} ({each.models})" for each in ARCHITECTURES)
        raise SoftcallError(
            f"{where} is a {name or 'model of unknown architecture'}; accepted are {accepted}"
        )
    return _BY_NAME[name]


def architecture_of(model: Any) -> Architecture:
    """Return the architecture of a transformers model, or of a model's trunk."""
    return require_architecture(model.config.model_type, "the model")


def positions_served(config: Any, max_positions: int | None = None) -> int:
    """Return how many positions a base of this configuration serves: all, or `max_positions`."""
    architecture = require_architecture(config.model_type, "the model")
    positions = architecture.positions_of(config)
    if max_positions is None:
        return positions
    if not 2 <= max_positions <= positions:
        raise SoftcallError(
            f"--max-positions {max_positions}: 2 to {positions} "
            f"(the configuration's {architecture.positions}) are accepted"
        )
    return max_positions


def require_expressible(config: Any, positions: int) -> None:
    """Raise `SoftcallError`, naming the configuration's field and value, if the graph cannot express it.

    `config` is a transformers configuration of an accepted architecture, `positions` the number to be served.
    """
    window = getattr(config, "sliding_window", None)
    if window is not None and window < positions:
        raise SoftcallError(
            f"sliding_window={window} is shorter than the {positions} positions served, and the graph "
            f"attends to all of them; pass --max-positions {window} to serve fewer"
        )
    rope = getattr(config, "rope_parameters", None) or {}
    rope_type = rope.get("rope_type", "default")
    if rope_type not in ROPE_TYPES:
        raise SoftcallError(f"rope_parameters.rope_type={rope_type!r}: accepted are {', '.join(ROPE_TYPES)}")
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise SoftcallError(
            f"rope_parameters.partial_rotary_factor={rope['partial_rotary_factor']}: accepted is 1.0"
        )
    for field in _MUST_BE_UNSET:
        if getattr(config, field, None) is not None:
            raise SoftcallError(f"{field}={getattr(config, field)!r}: only models without it are accepted")
