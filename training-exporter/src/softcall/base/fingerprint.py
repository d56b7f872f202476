"""The fingerprint: which weights a prompt belongs to."""

import hashlib
from collections.abc import Mapping

import numpy as np


def fingerprint(parameters: Mapping[str, np.ndarray]) -> str:
    """Sha256 over all parameters as little-endian float32, in the order of their sorted Hugging Face names.

    `parameters` maps the names that `named_parameters()` gives (a tied tensor once) to arrays of any float
    type and shape. Values are asked for one at a time, so a mapping that computes them needs little memory.
    """
    digest = hashlib.sha256()
    for name in sorted(parameters):
        digest.update(np.ascontiguousarray(parameters[name], dtype="<f4").data)
    return digest.hexdigest()


def unscaled_kv_layout(base_fingerprint: str) -> str:
    """Return the `kv_layout` digest of a variant whose keys and values are scaled as the base's own."""
    return hashlib.sha256(f"{base_fingerprint}/unscaled".encode()).hexdigest()
