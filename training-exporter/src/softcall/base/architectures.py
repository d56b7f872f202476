"""Which models the trunk graph can express; others are refused by architecture or configuration field."""

from typing import Any

from softcall.core.errors import SoftcallError

ACCEPTED = {
    "LlamaForCausalLM": "Llama 1 to 3, SmolLM, SmolLM2",
    "MistralForCausalLM": "Mistral",
    "Qwen2ForCausalLM": "Qwen2, Qwen2.5",
    "Qwen3ForCausalLM": "Qwen3",
}
"""Architecture names, as a `config.json` gives them, to the models that are built so."""

ROPE_TYPES = ("default", "linear", "llama3", "yarn")
"""Rotary embeddings whose frequencies do not depend on the length of the text."""

_MUST_BE_UNSET = (
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "attention_chunk_size",
    "quantization_config",
)


def require_architecture(architecture: str | None, where: str) -> None:
    """Raise `SoftcallError`, listing what is accepted, unless `architecture` can be exported."""
    if architecture not in ACCEPTED:
        accepted = ", ".join(f"{name} ({models})" for name, models in ACCEPTED.items())
        raise SoftcallError(
            f"{where} is a {architecture or 'model of unknown architecture'}; accepted are {accepted}"
        )


def positions_served(config: Any, max_positions: int | None = None) -> int:
    """Return how many positions a base of this configuration serves: all it has, or `max_positions`."""
    if max_positions is None:
        return config.max_position_embeddings
    if not 2 <= max_positions <= config.max_position_embeddings:
        raise SoftcallError(
            f"--max-positions {max_positions}: 2 to {config.max_position_embeddings} "
            "(the configuration's max_position_embeddings) are accepted"
        )
    return max_positions


def require_expressible(config: Any, positions: int) -> None:
    """Raise `SoftcallError`, naming the configuration field and its value, for what the graph cannot express.

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
