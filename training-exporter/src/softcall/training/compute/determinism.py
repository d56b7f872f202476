"""Determinism: on one kind of device, a command gives one prompt, bit by bit."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def deterministic() -> Iterator[None]:
    """Use kernels that sum in a fixed order, so that a command gives one prompt (on one kind of device)."""
    # cuBLAS reads this on first use: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True)
    # Filling costs a kernel per tensor, and no tensor is read before it is written.
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        # The other attention kernels add gradients in any order.
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
