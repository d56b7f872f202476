"""P-tuning v1 (Liu et al. 2021): a small network computes the prompt, which is constant after training."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from softcall.artifact.arrays import PROMPT
from softcall.artifact.bounds import MAX_PROMPT_TOKENS
from softcall.core.errors import SoftcallError
from softcall.prompt_formats.tensor_file import Tensors, bare, shown

_EMBEDDING = "embedding.weight"
_MLP = "mlp_head.0.weight"
_LSTM = "lstm_head.weight_ih_l0"
_GATES = 4  # whose weights an LSTM stacks


def compose(tensors: Tensors, config: Mapping[str, Any], task_id: int | None) -> tuple[np.ndarray, dict]:
    """Return the prompt [tokens, hidden]: the stored one, or the output of the stored prompt encoder.

    PEFT's `save_pretrained` has run the encoder already and stores its output, `prompt_embeddings`. A
    training run (`model.prompt_encoder.state_dict()`) stores the encoder itself: `embedding.weight` and
    `mlp_head.*`, and `lstm_head.*` for an LSTM, with or without `prompt_encoder.<adapter>.` before each name.
    """
    if set(tensors.names) == {PROMPT}:
        return tensors.floats(PROMPT), {}
    names = {bare(name): name for name in tensors.names}
    kind = "LSTM" if _LSTM in names else "MLP"
    if _EMBEDDING not in names or _MLP not in names:
        raise SoftcallError(
            f"holds the tensors {shown(tensors.names)}; expected {PROMPT} alone, or a prompt encoder's"
            " embedding.weight, mlp_head.* and, of an LSTM, lstm_head.*"
        )
    configured = config.get("encoder_reparameterization_type", kind)
    if configured != kind:
        raise SoftcallError(f"holds the tensors of an {kind}; its configuration says {configured!r}")
    return _run(kind, {short: tensors.floats(name) for short, name in names.items()}), {
        "prompt_encoder": kind
    }


def _run(kind: str, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the output of PEFT's own module with these weights."""
    try:
        import torch
        from peft import PromptEncoder, PromptEncoderConfig
    except ModuleNotFoundError as error:
        raise SoftcallError(
            f"running its prompt encoder needs PyTorch and PEFT ({error.name} is missing):"
            " pip install 'softcall[torch]'"
        ) from None
    embedding, first = weights[_EMBEDDING], weights[_LSTM if kind == "LSTM" else _MLP]
    if embedding.ndim != 2 or first.ndim != 2 or not 1 <= len(embedding) <= MAX_PROMPT_TOKENS:
        raise SoftcallError(
            f"{_EMBEDDING} has shape {list(embedding.shape)}; expected [tokens, hidden] of at most"
            f" {MAX_PROMPT_TOKENS} tokens"
        )
    config = PromptEncoderConfig(
        num_virtual_tokens=len(embedding),
        token_dim=embedding.shape[1],
        num_transformer_submodules=1,
        encoder_reparameterization_type=kind,
        encoder_hidden_size=len(first) // (_GATES if kind == "LSTM" else 1),
        encoder_num_layers=sum(name.startswith("lstm_head.weight_ih") for name in weights) // 2 or 2,
    )
    state = {name: torch.from_numpy(weight.astype(np.float32)) for name, weight in weights.items()}
    try:
        # Shapes are compared before any memory of these sizes is allocated.
        with torch.device("meta"):
            encoder = PromptEncoder(config)
        encoder.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise SoftcallError(f"its tensors are no prompt encoder of type {kind}: {reason}") from None
    with torch.no_grad():
        return encoder.eval()(torch.arange(len(embedding))).numpy()
