"""The sides that write text in a process of their own: llama.cpp, PEFT's `generate`, bare ONNX Runtime.

A side takes rows of token ids, all of one length, reads them, and writes new tokens behind each: the most
probable ones, whatever they are.
"""

import ctypes
import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from softcall.base.trunk import (
    HIDDEN,
    INPUT_IDS,
    LAST_INDEX,
    PROMPT_EMBEDS,
    open_session,
    past_names,
    present_names,
)
from softcall_bench.sides import Choice, Rows, Run, best_threads, peft_model, thread_counts, torch_base
from softcall_bench.workload import Workload

MOST_ROWS = 16
LLAMA_POSITIONS = 128
"""Of each row: a prompt of 20 tokens, a text of 32, and 64 new ones are 116."""
TRIED_TOKENS = 4
"""That a setting of llama.cpp writes when settings are compared: reading, and steps."""


def figures(took_s: float, rows: int, tokens: int) -> dict[str, float]:
    """What the book keeps of a run that wrote `tokens` tokens behind each of its rows."""
    return {"tokens_per_s": rows * tokens / took_s, "answer_ms": took_s * 1e3}


def peft_generate(tokens: int) -> Run:
    """PEFT as a Python user has it: `generate` in float32, the soft prompt in line before each text."""
    import torch

    base = torch_base()
    model = peft_model(base)

    @torch.no_grad()
    def run(rows: Rows):
        ids = torch.tensor(rows)
        return model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            pad_token_id=base.tokenizer.token_to_id("<|im_end|>"),
        )

    return best_threads(run)


def bare_onnx_writer(variant: str, tokens: int) -> Run:
    """ONNX Runtime from Python: trunk, decode graph and vocabulary head, behind the prompt's prefix.

    All rows are read in one batch and written in one, on all cores, spinning off. No HTTP, no tokenizer.
    """
    workload, threads = Workload.shipped(), max(thread_counts())
    base, prefix = workload.base, workload.artifact.prefix(workload.base)
    trunk = open_session(base.folder / base.variant(variant).graph, threads)
    decoder, head = base.decoder(variant, threads), base.lm_head(variant, threads)
    outputs = [HIDDEN, *present_names(base.num_hidden_layers)]
    past = dict(zip(past_names(base.num_hidden_layers), prefix, strict=True))

    def run(rows: Rows):
        ids = np.array(rows, np.int64)
        no_prompt = np.zeros((len(ids), 0, base.hidden_size), np.float32)
        read = {INPUT_IDS: ids, LAST_INDEX: np.full(len(ids), ids.shape[1] - 1), PROMPT_EMBEDS: no_prompt}
        hidden, *present = trunk.run(outputs, read | past)
        length = present[0].shape[2]
        pasts = [[part[row : row + 1] for part in present] for row in range(len(ids))]
        cache = decoder.cache(pasts, length + tokens)
        chosen = head.logits(hidden).argmax(axis=1)
        for step in range(tokens - 1):
            hidden = decoder.hidden(chosen, [length + step] * len(ids), cache)
            chosen = head.logits(hidden).argmax(axis=1)

    return run


@dataclasses.dataclass(frozen=True)
class _LlamaSettings:
    """What is chosen for llama.cpp."""

    threads: int
    flash_attention: bool


def llama_writer(tokens: int) -> Run:
    """llama.cpp on the base's GGUF file, all rows in one batch, with the fastest of its settings for them."""
    from softcall.base.default_base import fetch

    model = _Llama(str(fetch()))
    options = [_LlamaSettings(*each) for each in itertools.product(thread_counts(), (False, True))]
    best = Choice()

    def run(rows: Rows):
        kind = (len(rows), len(rows[0]))
        model.write(rows, tokens, best.of(kind, options, lambda each: model.write(rows, TRIED_TOKENS, each)))

    return run


class _Llama:
    """A model by llama.cpp's own functions, with a context for each number of rows and settings."""

    def __init__(self, file: str) -> None:
        import llama_cpp

        self._llama = llama_cpp
        self._silent = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self._silent, ctypes.c_void_p())
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(
            file.encode(), llama_cpp.llama_model_default_params()
        )
        if not self._model:
            raise OSError(f"llama.cpp cannot read {file}")
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._contexts: dict[tuple[int, _LlamaSettings], ctypes.c_void_p] = {}
        self._batch = llama_cpp.llama_batch_init(MOST_ROWS * LLAMA_POSITIONS, 0, 1)

    def write(self, rows: Rows, tokens: int, settings: _LlamaSettings) -> None:
        """Read the rows and write `tokens` behind each."""
        context = self._context(len(rows), settings)
        self._llama.llama_memory_clear(self._llama.llama_get_memory(context), False)
        self._fill([(token, place, row) for row, ids in enumerate(rows) for place, token in enumerate(ids)])
        length = len(rows[0])
        last = [(row + 1) * length - 1 for row in range(len(rows))]
        for place in range(length, length + tokens):
            chosen = self._decode(context, last)
            if place < length + tokens - 1:
                self._fill([(token, place, row) for row, token in enumerate(chosen)])
                last = list(range(len(rows)))

    def _fill(self, tokens: Sequence[tuple[int, int, int]]) -> None:
        """Make the batch that of (token, position, row) each."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for number, (token, place, row) in enumerate(tokens):
            batch.token[number] = token
            batch.pos[number] = place
            batch.n_seq_id[number] = 1
            batch.seq_id[number][0] = row
            batch.logits[number] = False

    def _decode(self, context: ctypes.c_void_p, read: Sequence[int]) -> list[int]:
        """Compute the batch; the most probable tokens at these places of it."""
        for number in read:
            self._batch.logits[number] = True
        status = self._llama.llama_decode(context, self._batch)
        if status != 0:
            raise RuntimeError(f"llama_decode ended with {status}")
        return [
            int(
                np.ctypeslib.as_array(
                    self._llama.llama_get_logits_ith(context, number), (self._vocabulary,)
                ).argmax()
            )
            for number in read
        ]

    def _context(self, rows: int, settings: _LlamaSettings) -> ctypes.c_void_p:
        if (rows, settings) not in self._contexts:
            llama = self._llama
            params = llama.llama_context_default_params()
            params.n_ctx = rows * LLAMA_POSITIONS
            params.n_seq_max = rows
            params.n_batch = rows * LLAMA_POSITIONS
            params.n_threads = params.n_threads_batch = settings.threads
            params.flash_attn_type = int(settings.flash_attention)
            context = llama.llama_init_from_model(self._model, params)
            if not context:
                raise MemoryError(f"llama.cpp has no context for {rows} rows with {settings}")
            self._contexts[rows, settings] = context
        return self._contexts[rows, settings]
