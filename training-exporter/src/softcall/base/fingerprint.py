"""The fingerprint of a base, which identifies the weights that a prompt was trained for."""

import hashlib
from collections.abc import Mapping

import numpy as np


def fingerprint(parameters: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 of all parameters as little-endian float32, sorted by Hugging Face name.

    `parameters` maps the names of `named_parameters()` (a tied tensor occurs once) to arrays of any float
    type and shape. One value is read at a time, so a mapping that computes its values needs little memory.
    """
    digest = hashlib.sha256()
    for name in sorted(parameters):
        digest.update(np.ascontiguousarray(parameters[name], dtype="<f4").data)
    return digest.hexdigest()


def unscaled_kv_layout(base_fingerprint: str) -> str:
    """Return the `kv_layout` digest of a variant whose keys and values have the base's own scale."""
    return hashlib.sha256(f"{base_fingerprint}/unscaled".encode()).hexdigest()
