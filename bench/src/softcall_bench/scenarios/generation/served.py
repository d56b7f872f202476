"""What the scenarios of generation serve, and ask for: stores, variants, and texts."""

import json
import shutil
from pathlib import Path

from softcall_bench.bench import INT8, Bench
from softcall_bench.local_server import ROOT
from softcall_bench.streams import Prompts
from softcall_bench.workload import TASK, write_task

INT4 = "int4"
COMPACT = (INT8, INT4)
"""The variants that are meant to write text fast; one that the base has not is left out."""

SOFT, KV = "writer", "writer-kv"
STREAMS = 16
TEXT_TOKENS, NEW_TOKENS = 32, 64
TEXTS = 16


def compact(bench: Bench) -> tuple[str, ...]:
    """Those variants of `COMPACT` that the base has, and with which it can write."""
    variants = bench.workload.base.variants
    found = tuple(name for name in COMPACT if name in variants and variants[name].generation)
    if INT8 not in found:
        bench.book.note(f"generation: the base {bench.workload.base.folder} cannot write text with {INT8}")
    return found


def new_store(bench: Bench, name: str) -> Path:
    """A file store of the shipped task, and of two that write text behind its prompt, soft and KV."""
    store = bench.scratch(name)
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(ROOT / "tasks" / TASK, store / TASK)
    write_task(store, SOFT, bench.workload.writer())
    write_task(store, KV, bench.workload.writer(kv=True))
    return store


def prompts(bench: Bench, *tasks: str, tokens: int = NEW_TOKENS) -> Prompts:
    """Texts of `TEXT_TOKENS` tokens with their template, for these tasks in turn."""
    texts = [text.text for text in bench.workload.texts_of(TEXT_TOKENS, TEXTS)]
    return Prompts(tasks or (SOFT,), texts, tokens)


def classifications(bench: Bench) -> list[str]:
    """Bodies of calls that classify the same texts."""
    return [
        json.dumps({"model": TASK, "input": text.text})
        for text in bench.workload.texts_of(TEXT_TOKENS, TEXTS)
    ]
