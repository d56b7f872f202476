"""Measures the time and the memory of training."""

import resource
import time

import torch


class Meter:
    """Seconds and peak memory between `start` and `stop`; zero without a start."""

    def __init__(self, device: torch.device) -> None:
        """On CUDA the peak is the device's; on a CPU it is the process's since its start."""
        self._device = device
        self.seconds, self.peak_bytes = 0.0, 0

    def start(self) -> None:
        """Start the clock."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Stop the clock after the device has finished."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            self.peak_bytes = torch.cuda.max_memory_allocated(self._device)
        else:
            self.peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.seconds = time.perf_counter() - self._started
