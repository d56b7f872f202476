"""Decoding: the base one token at a time, and its vocabulary head, run by ONNX Runtime.

Names, types and shapes of inputs and outputs are those of docs/base-bundle.md.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from softcall.base.trunk import HIDDEN, INPUT_IDS, Prefix, open_session, past_names, present_names

PAST_LENGTHS = "seqlens_k"
TOTAL_LENGTH = "total_sequence_length"
LOGITS = "logits"


class Decoder:
    """An ONNX Runtime session over one variant's decode graph, on the CPU."""

    def __init__(self, graph: Path, threads: int = 0):
        """Open `graph` (its external data lies beside it); `threads` 0 means all cores."""
        self._session = open_session(graph, threads)
        pasts = [value for value in self._session.get_inputs() if value.name.startswith("past_key_values.")]
        self.layers = len(pasts) // 2
        _, self.kv_heads, _, self.head_dim = pasts[0].shape

    def cache(self, prefixes: Sequence[Prefix], capacity: int) -> Prefix:
        """Return buffers for `capacity` positions a row that begin with each row's own prefix.

        The batch of each prefix is 1. Keys and values are float32 [batch, kv_heads, capacity, head_dim].
        """
        shape = (len(prefixes), self.kv_heads, capacity, self.head_dim)
        buffers = [np.zeros(shape, np.float32) for _ in range(2 * self.layers)]
        for row, prefix in enumerate(prefixes):
            for buffer, part in zip(buffers, prefix, strict=True):
                buffer[row, :, : part.shape[2]] = part[0]
        return buffers

    def hidden(self, ids: Sequence[int], lengths: Sequence[int], cache: Prefix) -> np.ndarray:
        """Decode one token a row; return its hidden row, float32 [batch, hidden].

        `lengths` are those of the rows' pasts. The keys and values of the tokens are written into `cache`.
        """
        binding = self._session.io_binding()
        binding.bind_cpu_input(INPUT_IDS, np.array(ids, np.int64)[:, None])
        binding.bind_cpu_input(PAST_LENGTHS, np.array(lengths, np.int32))
        binding.bind_cpu_input(TOTAL_LENGTH, np.array(max(lengths) + 1, np.int32))
        names = zip(past_names(self.layers), present_names(self.layers), cache, strict=True)
        for past, present, buffer in names:
            place = ("cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
            binding.bind_input(past, *place)
            binding.bind_output(present, *place)
        binding.bind_output(HIDDEN)
        self._session.run_with_iobinding(binding)
        return binding.get_outputs()[-1].numpy()


class LmHead:
    """An ONNX Runtime session over one variant's vocabulary head, on the CPU."""

    def __init__(self, graph: Path, threads: int = 0):
        """Open `graph` (its external data lies beside it); `threads` 0 means all cores."""
        self._session = open_session(graph, threads)

    def logits(self, hidden: np.ndarray) -> np.ndarray:
        """Return the logits, float32 [batch, vocabulary], of rows [batch, hidden]."""
        return self._session.run([LOGITS], {HIDDEN: hidden})[0]
