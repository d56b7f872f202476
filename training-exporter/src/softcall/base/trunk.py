"""The trunk: the base without its vocabulary head, run by ONNX Runtime.

Names, types and shapes of its inputs and outputs are those of docs/base-bundle.md.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUT_IDS = "input_ids"
PROMPT_EMBEDS = "prompt_embeds"
LAST_INDEX = "last_index"
HIDDEN = "hidden"

KV_PAGES, PREFIX_PAGES = "kv_pages", "prefix_pages"
"""Inputs of a trunk for a GPU, in place of a past for each layer."""

KEY_ORDER, PAIRS = "key_order", "pairs"
"""Metadata of a graph whose pages hold keys `in_pairs` instead of in the order of a `Prefix`."""

BATCH, LENGTH, ROWS = "batch", "prompt + text", "batch x (prompt + text)"
"""The graph's names of its dimensions."""

Prefix = Sequence[np.ndarray]
"""Keys and values of every layer in turn (key 0, value 0, key 1, ...).

Each is float32 [batch or 1, kv_heads, past, head_dim].
"""


def past_names(layers: int) -> list[str]:
    """Return the graph inputs for a prefix, in the order of a `Prefix`."""
    return [f"past_key_values.{layer}.{part}" for layer in range(layers) for part in ("key", "value")]


def present_names(layers: int) -> list[str]:
    """Return the graph outputs with a prefix, in the order of a `Prefix`."""
    return [f"present.{layer}.{part}" for layer in range(layers) for part in ("key", "value")]


def in_pairs(heads: np.ndarray) -> np.ndarray:
    """Put the two elements of each head that are rotated together side by side: 0, half, 1, half + 1, ...

    `heads` is [..., head_dim], in the order of full precision, where they are half a head apart.
    """
    *others, head_dim = heads.shape
    return heads.reshape(*others, 2, head_dim // 2).swapaxes(-1, -2).reshape(heads.shape)


def open_session(graph: Path, threads: int = 0) -> "InferenceSession":
    """Open a graph on the CPU; its external data lies beside it, `threads` 0 means all cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


class Trunk:
    """An ONNX Runtime session over one variant's graph, on the CPU."""

    def __init__(self, graph: Path, threads: int = 0):
        """Open `graph` (its external data lies beside it); `threads` 0 means all cores."""
        self._session = open_session(graph, threads)
        shapes = {value.name: value.shape for value in self._session.get_inputs()}
        self.hidden_size: int = shapes[PROMPT_EMBEDS][2]
        self._paged = KV_PAGES in shapes
        self._in_pairs = self._session.get_modelmeta().custom_metadata_map.get(KEY_ORDER) == PAIRS
        if self._paged:
            _, parts, self.kv_heads, self.head_dim = shapes[KV_PAGES]
            self.layers = parts // 2
        else:
            self.layers = sum(name.endswith(".key") for name in shapes)
            _, self.kv_heads, _, self.head_dim = shapes[past_names(1)[0]]

    def empty_prefix(self) -> Prefix:
        """Return the prefix of no prompt: [1, kv_heads, 0, head_dim] for every key and value."""
        nothing = np.zeros((1, self.kv_heads, 0, self.head_dim), np.float32)
        return [nothing] * (2 * self.layers)

    def hidden(
        self,
        input_ids: np.ndarray,
        last_index: np.ndarray,
        prompt_embeds: np.ndarray | None = None,
        prefix: Prefix | None = None,
    ) -> np.ndarray:
        """Return the rows, float32 [batch, hidden], at `last_index` of [prompt | text] behind `prefix`.

        `input_ids` is int64 [batch, text], padded on the right with any valid id; `last_index` int64 [batch]
        counts over prompt and text; `prompt_embeds` is float32 [batch, prompt, hidden].
        """
        return self._session.run([HIDDEN], self._feeds(input_ids, last_index, prompt_embeds, prefix))[0]

    def values(self, names: Sequence[str], input_ids: Sequence[int], prefix: Prefix) -> list[np.ndarray]:
        """Return outputs of the graph by name, for one text behind `prefix`."""
        feeds = self._feeds(np.array([input_ids], np.int64), np.array([len(input_ids) - 1]), None, prefix)
        return self._session.run(list(names), feeds)

    def encode(self, prompt: np.ndarray) -> Prefix:
        """Return the prefix of a prompt, float32 [tokens, hidden]; its batch is 1, shared by all rows."""
        no_text = np.zeros((1, 0), np.int64)
        last = np.array([len(prompt) - 1])
        return self._session.run(present_names(self.layers), self._feeds(no_text, last, prompt[None], None))

    def read(self, ids: Sequence[int], prefix: Prefix | None = None) -> Prefix:
        """Return the keys and values of a text of token ids, at least one, behind those of `prefix`.

        Their batch is 1.
        """
        feeds = self._feeds(np.array([ids], np.int64), np.array([len(ids) - 1]), None, prefix)
        return self._session.run(present_names(self.layers), feeds)

    def _feeds(self, input_ids, last_index, prompt_embeds, prefix):
        if prompt_embeds is None:
            prompt_embeds = np.zeros((len(input_ids), 0, self.hidden_size), np.float32)
        return {
            INPUT_IDS: input_ids,
            PROMPT_EMBEDS: prompt_embeds,
            LAST_INDEX: last_index,
            **self._past(prefix or self.empty_prefix(), len(input_ids)),
        }

    def _past(self, prefix: Prefix, batch: int) -> dict[str, np.ndarray]:
        if not self._paged:
            return dict(zip(past_names(self.layers), prefix, strict=True))
        parts = np.stack(prefix)
        if self._in_pairs:
            parts[::2] = in_pairs(parts[::2])
        tokens = parts.transpose(1, 3, 0, 2, 4)  # [batch or 1, past, parts, kv_heads, head_dim]
        index = np.arange(tokens.shape[0] * tokens.shape[1]).reshape(tokens.shape[:2])
        pages = tokens.reshape(-1, *tokens.shape[2:]).astype(np.float16)
        return {KV_PAGES: pages, PREFIX_PAGES: np.broadcast_to(index, (batch, index.shape[1])).copy()}
