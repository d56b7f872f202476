"""The sides that run in a process of their own: PEFT, a PyTorch trunk, llama.cpp, bare ONNX Runtime.

A side takes rows of token ids, all of one length, and computes; nothing is tokenised here.
"""

import faulthandler
import importlib.util
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from softcall_bench import cores
from softcall_bench.server import memory_mb
from softcall_bench.workload import TEXT_TOKENS, Workload

if TYPE_CHECKING:
    from peft import PeftModel

    from softcall.base.source import LoadedBase

Rows = Sequence[Sequence[int]]
Run = Callable[[Rows], Any]
T = TypeVar("T")
ANSWER_LIMIT_S = 300
END_LIMIT_S = 10
QUIET = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}


class SideFailed(Exception):
    """A side ended or did not answer."""


class Side:
    """A side in a child process, which measures itself: `with Side(peft) as side: side.seconds(rows, 5)`."""

    def __init__(self, make: Callable[..., Run], *arguments: Any) -> None:
        """`make(*arguments)` is called in the child and returns what takes rows."""
        self._name = make.__name__
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        with cores.measured():
            self._process.start()
        theirs.close()
        self._answer()

    def seconds(self, rows: Rows, times: int) -> list[float]:
        """Run these rows as one batch so many times; returns what each took."""
        self._pipe.send((rows, times))
        return self._answer()

    def memory_mb(self) -> dict[str, float]:
        """The child's memory, see `server.memory_mb`."""
        return memory_mb(self._process.pid)

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_exception) -> None:
        self._pipe.close()  # which tells the child to end
        self._process.join(END_LIMIT_S)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()

    def _answer(self) -> Any:
        try:
            if not self._pipe.poll(ANSWER_LIMIT_S):
                raise SideFailed(f"{self._name} did not answer within {ANSWER_LIMIT_S} s")
            answer = self._pipe.recv()
        except EOFError:
            raise SideFailed(f"{self._name} ended{self._signal()}") from None
        if isinstance(answer, str):
            raise SideFailed(f"{self._name}: {answer}")
        return answer

    def _signal(self) -> str:
        self._process.join(END_LIMIT_S)
        code = self._process.exitcode
        return f": {signal.strsignal(-code)}" if code is not None and code < 0 else ""


def _serve(pipe, make, arguments) -> None:
    os.environ |= QUIET
    faulthandler.enable(os.dup(sys.stderr.fileno()))  # llama.cpp's binding sends what it does to /dev/null
    try:
        run = make(*arguments)
        pipe.send(None)
        while True:
            rows, times = pipe.recv()
            took = []
            for _ in range(times):
                started = time.perf_counter()
                run(rows)
                took.append(time.perf_counter() - started)
            pipe.send(took)
    except (EOFError, KeyboardInterrupt):
        return
    except Exception as error:  # whatever a library raises is told, not lost
        pipe.send(f"{type(error).__name__}: {error}")


def figures(took_s: Sequence[float], rows: int, tokens: int = TEXT_TOKENS) -> dict[str, float]:
    """What the book keeps of some runs of `rows` texts of `tokens` tokens each, from the median run."""
    middle = statistics.median(took_s)
    return {"p50_ms": middle * 1e3, "texts_per_s": rows / middle, "tokens_per_s": rows * tokens / middle}


def peft() -> Run:
    """PEFT as a Python user has it: the adapted model's forward pass in float32, logits of all positions."""
    import torch

    model = peft_model(torch_base())

    @torch.no_grad()
    def run(rows: Rows):
        ids = torch.tensor(rows)
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits

    return best_threads(run)


def torch_trunk() -> Run:
    """The trunk alone in PyTorch, float32, with the prompt in line and without the vocabulary head."""
    import torch

    from softcall.evaluation.classifier import PromptedClassifier, label_logits

    base = torch_base()
    trunk = base.model.model
    classifier = PromptedClassifier.of(Workload.shipped().artifact, base.identity.kv)

    @torch.no_grad()
    def run(rows: Rows):
        return label_logits(trunk, [classifier], [(torch.tensor(rows), torch.tensor([*map(len, rows)]))])

    return best_threads(run)


def bare_onnx_runtime(variant: str) -> Run:
    """ONNX Runtime from Python: a variant's trunk behind the prompt's prefix, on all cores, spinning off."""
    workload = Workload.shipped()
    prefix = workload.artifact.prefix(workload.base)
    trunk = workload.base.trunk(variant, _cores())

    def run(rows: Rows):
        ids = np.array(rows, np.int64)
        return trunk.hidden(ids, np.full(len(ids), ids.shape[1] - 1), prefix=prefix)

    return run


def llama_cpp() -> Run:
    """llama.cpp on the base's GGUF file, a row at a time from an empty cache, with the best thread count."""
    from llama_cpp import Llama

    from softcall.base.default_base import fetch

    file = str(fetch())
    models = {
        threads: Llama(
            file, n_ctx=2048, n_batch=512, n_threads=threads, n_threads_batch=threads, verbose=False
        )
        for threads in thread_counts()
    }
    best = Choice()

    def run(rows: Rows):
        threads = best.of((len(rows), len(rows[0])), models, lambda threads: _evaluate(models[threads], rows))
        _evaluate(models[threads], rows)

    return run


def llama_is_installed() -> bool:
    """Whether the extra `llama` is there."""
    return importlib.util.find_spec("llama_cpp") is not None


def _evaluate(model, rows: Rows) -> None:
    for row in rows:
        model.reset()
        model.eval(row)


class Choice:
    """The fastest option for each kind of work, found by trying when the kind is first met."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._known: dict[Any, Any] = {}

    def of(self, kind: Any, options: Sequence[T], attempt: Callable[[T], Any]) -> T:
        """The option that `attempt` was fastest with, twice each."""
        if kind not in self._known and len(options) == 1:
            self._known[kind] = options[0]
        if kind not in self._known:
            self._known[kind] = min(options, key=lambda option: _fastest(lambda: attempt(option)))
        return self._known[kind]


def best_threads(run: Run) -> Run:
    """`run`, by PyTorch, with the number of threads that is fastest for each kind of rows."""
    import torch

    best = Choice()

    def attempt(threads: int, rows: Rows) -> None:
        torch.set_num_threads(threads)
        run(rows)

    def with_best_threads(rows: Rows):
        kind = (len(rows), len(rows[0]))
        torch.set_num_threads(best.of(kind, thread_counts(), lambda threads: attempt(threads, rows)))
        return run(rows)

    return with_best_threads


def _fastest(work: Callable[[], Any]) -> float:
    took = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return min(took)


def torch_base() -> "LoadedBase":
    """The default base in PyTorch."""
    from softcall.base.source import Source

    return Source.resolve(None).load()


def peft_model(base: "LoadedBase") -> "PeftModel":
    """PEFT's model of the default base behind the shipped task's soft prompt."""
    import torch
    from peft import PromptTuningConfig, get_peft_model

    artifact = Workload.shipped().artifact
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=artifact.tokens)
    model = get_peft_model(base.model, config).eval()
    with torch.no_grad():
        model.prompt_encoder["default"].embedding.weight.copy_(torch.from_numpy(artifact.prompt.copy()))
    return model


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def thread_counts() -> list[int]:
    """The numbers of threads that are worth trying."""
    return sorted({1, max(1, _cores() // 2), _cores()})
