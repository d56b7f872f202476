"""How long a method trains, and how much memory it takes."""

import resource
import time

import torch


class Meter:
    """Seconds and peak memory between `start` and `stop`; zero for what was never started."""

    def __init__(self, device: torch.device) -> None:
        """Memory is the device's, or on a CPU the process's, whose peak is that since it began."""
        self._device = device
        self.seconds, self.peak_bytes = 0.0, 0

    def start(self) -> None:
        """Begin."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._started = time.perf_counter()

    def stop(self) -> None:
        """End, when the device has done what it was told."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            self.peak_bytes = torch.cuda.max_memory_allocated(self._device)
        else:
            self.peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.seconds = time.perf_counter() - self._started
