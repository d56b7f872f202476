"""The server on a GPU beside PyTorch and bare ONNX Runtime on the same card: a line a bar (docs/cuda.md).

`bench/cuda/run.sh` runs it where there is a GPU. `--rehearse` runs all of it on the processor, with few
texts: to see that it works, not how fast it is.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass

import numpy as np
import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model
from rich.console import Console

from softcall.base.bundle import FP16, FULL_PRECISION
from softcall.base.source import Source
from softcall_bench import programs
from softcall_bench.bar import Bar, bar_line
from softcall_bench.load import closed_loop
from softcall_bench.local_server import ROOT, java_home
from softcall_bench.server import LOGS, Server, serving
from softcall_bench.workload import TASK, TEXT_TOKENS, Workload

FILE_STORE = f"file:{ROOT / 'tasks'}"
BARE_SESSION = ROOT / "bench/cuda/BareSession.java"
TEXTS_PER_CALL = 16
LONG_TEXT_TOKENS = 256
EFFICIENT, FLASH = 18, 17  # attention's kernels by `sdpa_kernel`; the server takes the first
SETTINGS = (
    {"SOFTCALL_CUDA_ATTENTION": "flash"},
    {"SOFTCALL_BATCH_TOKENS": "16384"},
    {"SOFTCALL_BATCH_RUNS": "1"},
    {"SOFTCALL_BATCH_RUNS": "3"},
)
MEMORY_LIMIT_MB = 1000
CONTEXT_MB = 1000  # of CUDA itself, which nobody bounds


@dataclass(frozen=True)
class Scale:
    """How much is measured, and on what."""

    provider: str
    device: str
    rows: int
    load_s: int
    times: int
    batch: int
    clients: tuple[int, ...]
    tasks: int

    @property
    def settings(self) -> dict[str, str]:
        """Of every server."""
        return {"SOFTCALL_PROVIDER": self.provider, "SOFTCALL_LIMITS_CALLS": "1024"}


# 512 and 1,024 texts are in flight.
GPU = Scale("cuda", "cuda", 10**6, 12, 50, 256, (32, 64), 100)
REHEARSAL = Scale("cpu", "cpu", 24, 4, 1, 8, (1, 2), 6)


def main() -> None:
    """Measure everything once, side by side, and print the bars."""
    parser = argparse.ArgumentParser(prog="softcall_bench.cuda", description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="a few texts, on the processor")
    parser.add_argument("--only", nargs="*", choices=[part.__name__[1:] for part in PARTS], help="some parts")
    arguments = parser.parse_args()
    scale = REHEARSAL if arguments.rehearse else GPU
    console = Console(width=150)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    console.print(f"{_card() if scale is GPU else 'rehearsal on the processor'}, PyTorch {torch.__version__}")
    bench = _Bench(Workload.shipped(), scale, console)
    for part in PARTS:
        if part.__name__[1:] not in (arguments.only or BARS):
            continue
        began = time.monotonic()
        try:
            for bar in part(bench):
                console.print(bar_line(bar), highlight=False, soft_wrap=True)
        except Exception as error:  # what one part meets shall not take the figures of the others
            console.print(f"{part.__name__[1:]}: failed: {error}", markup=False, soft_wrap=True)
        bench.say(f"{part.__name__[1:]}: {time.monotonic() - began:.0f} s")


@dataclass(frozen=True)
class _Bench:
    workload: Workload
    scale: Scale
    console: Console

    def say(self, what: str) -> None:
        self.console.print(f"  {what}", style="dim", highlight=False, soft_wrap=True)

    def serving(self, variant: str, name: str, store: str = FILE_STORE, **settings: str):
        return serving(store, variant, f"cuda-{name}", **(self.scale.settings | settings))

    def tell(self, server: Server) -> None:
        """Repeat what the server said when it started."""
        for line in server.log.read_text(errors="replace").splitlines():
            if "serves" in line or "no memory" in line:
                self.say(line)

    def peft(self, dtype: torch.dtype) -> PeftModel:
        """PEFT's own model with the shipped prompt, on the device."""
        artifact = self.workload.artifact
        config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=artifact.tokens)
        model = get_peft_model(Source.resolve(None).load().model, config).eval()
        with torch.no_grad():
            model.prompt_encoder["default"].embedding.weight.copy_(torch.from_numpy(artifact.prompt.copy()))
        return model.to(device=self.scale.device, dtype=dtype)

    def load(self, server: Server, bodies: list[str], clients: int, texts: int) -> "_Loaded":
        """Keep so many calls, of so many texts each, under way."""
        before, began = _Used.by(server), time.perf_counter()
        load = closed_loop(programs.wrk(), server.url, bodies, clients, self.scale.load_s)
        used, seconds = _Used.by(server) - before, time.perf_counter() - began
        figures = load.figures(TEXT_TOKENS)
        return _Loaded(
            figures["texts_per_s"] * texts,
            figures["p50_ms"],
            used.generator_s / seconds,
            used.server_s / seconds,
            used.rows / max(used.runs, 1),
        )

    def calls(self, tasks: list[str]) -> list[str]:
        """Bodies of `TEXTS_PER_CALL` texts, the tasks in turn."""
        texts = [text.text for text in self.workload.texts]
        count = len(texts) // TEXTS_PER_CALL * TEXTS_PER_CALL
        chunks = [texts[start : start + TEXTS_PER_CALL] for start in range(0, count, TEXTS_PER_CALL)]
        return [
            _body(task, chunks[number % len(chunks)])
            for number, task in enumerate(tasks * -(-len(chunks) // len(tasks)))
        ]


@dataclass(frozen=True)
class _Loaded:
    """What came of a load."""

    texts_per_s: float
    p50_ms: float
    generator_cores: float
    server_cores: float
    rows_per_run: float

    @property
    def told(self) -> str:
        """All of it in a line."""
        return (
            f"{self.texts_per_s:,.0f} texts/s, p50 {self.p50_ms:.1f} ms, {self.rows_per_run:.0f} rows a run;"
            f" of {os.cpu_count()} cores the server takes {self.server_cores:.1f},"
            f" the load generator {self.generator_cores:.1f}"
        )


@dataclass(frozen=True)
class _Used:
    """Processor time, rows and runs of the model so far."""

    generator_s: float
    server_s: float
    rows: float
    runs: float

    @classmethod
    def by(cls, server: Server) -> "_Used":
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows, runs = (server.metric(f"softcall_batch_rows_{part}") for part in ("sum", "count"))
        return cls(children.ru_utime + children.ru_stime, server.cpu_s(), rows, runs)

    def __sub__(self, other: "_Used") -> "_Used":
        return _Used(*(mine - theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def _body(task: str, texts: list[str]) -> str:
    return json.dumps({"model": task, "input": texts})


def _parity(bench: _Bench) -> Iterator[Bar]:
    """The whole test set over HTTP in both precisions, against PEFT in float32 on the same card."""
    rows = bench.workload.sentences[: bench.scale.rows]
    expected = _peft_logits(bench, [list(row.ids) for row in rows])
    found = {}
    for variant in (FULL_PRECISION, FP16):
        with bench.serving(variant, f"parity-{variant}") as server:
            found[variant] = np.concatenate(
                [
                    [
                        item["logits"]
                        for item in server.require(
                            TASK, [row.text for row in rows[start : start + 200]], logits=True
                        ).body["data"]
                    ]
                    for start in range(0, len(rows), 200)
                ]
            )
            bench.tell(server)
    largest = float(np.abs(found[FULL_PRECISION] - expected).max())
    note = f"{len(rows):,} texts, logits of up to {np.abs(expected).max():.0f}"
    yield Bar("fp32, TF32 off: logits differ from PEFT's by at most", largest, 1e-3, at_most=True, note=note)
    labels = [row.label for row in rows]
    names = bench.workload.artifact.labels
    accuracy = np.mean(
        [names[best] == label for best, label in zip(found[FP16].argmax(1), labels, strict=True)]
    )
    agreement = float((found[FP16].argmax(1) == expected.argmax(1)).mean())
    yield Bar("fp16: labels agree with PEFT's", agreement, 0.995, note=f"accuracy {accuracy:.3f}")


def _peft_logits(bench: _Bench, texts: list[list[int]]) -> np.ndarray:
    """Label logits of PEFT in float32, rows of equal length in one batch, so that nothing is padded."""
    model, artifact = bench.peft(torch.float32), bench.workload.artifact
    logits = np.zeros((len(texts), len(artifact.labels)))
    lengths: dict[int, list[int]] = {}
    for number, ids in enumerate(texts):
        lengths.setdefault(len(ids), []).append(number)
    for numbers in lengths.values():
        ids = torch.tensor([texts[number] for number in numbers], device=bench.scale.device)
        with torch.no_grad():
            output = model(input_ids=ids, output_hidden_states=True, logits_to_keep=1)
        hidden = output.hidden_states[-1][:, -1].double().cpu().numpy()
        logits[numbers] = hidden @ artifact.label_head.astype(np.float64).T + artifact.label_bias
    return logits


def _speed(bench: _Bench) -> Iterator[Bar]:
    """PyTorch, bare ONNX Runtime and the server in fp16 on texts of 26 tokens."""
    batch = bench.scale.batch
    torch_ms = {rows: _torch_ms(bench, rows) for rows in (1, batch)}
    bare_ms = {rows: _bare_ms(bench, rows) for rows in (1, batch)}
    torch_rate, bare_rate = (batch / ms[batch] * 1e3 for ms in (torch_ms, bare_ms))
    bench.say(f"PEFT fp16, eager: 1 text {torch_ms[1]:.2f} ms, {batch} {torch_ms[batch]:.2f} ms")
    bench.say(f"bare ONNX Runtime: 1 text {bare_ms[1]:.2f} ms, {batch} {bare_ms[batch]:.2f} ms")
    for tokens in (TEXT_TOKENS, LONG_TEXT_TOKENS):
        rows = max(1, batch * TEXT_TOKENS // tokens)
        efficient, flash = (_bare_ms(bench, rows, tokens, kernel) for kernel in (EFFICIENT, FLASH))
        told = f"efficient {efficient:.2f} ms, flash {flash:.2f} ms"
        bench.say(f"bare, {rows} texts of {tokens} tokens, by attention: {told}")
    with bench.serving(FP16, "speed") as server:
        bench.tell(server)
        best, note = 0.0, ""
        # The last one again: the JVM is warm by then.
        for clients in (*bench.scale.clients, bench.scale.clients[-1]):
            got = bench.load(server, bench.calls([TASK]), clients, TEXTS_PER_CALL)
            bench.say(f"{clients} calls of {TEXTS_PER_CALL} texts: {got.told}")
            if got.texts_per_s > best:
                best = got.texts_per_s
                note = (
                    f"{clients * TEXTS_PER_CALL} in flight; load generator: {got.generator_cores:.1f} cores"
                )
        alone_ms = bench.load(server, bench.workload.bodies(), 1, 1).p50_ms  # warm, as PyTorch was
    yield Bar(f"texts/s over PEFT fp16, eager, batch {batch}", best / torch_rate, 3, "x", note=note)
    note = f"{best:,.0f} texts/s"
    yield Bar(f"texts/s over the bare session at batch {batch}", best / bare_rate, 0.8, note=note)
    note = f"{alone_ms:.2f} ms"
    yield Bar("one text: p50 over PEFT's", alone_ms / torch_ms[1], 0.25, at_most=True, note=note)


def _torch_ms(bench: _Bench, rows: int) -> float:
    model = bench.peft(torch.float16 if bench.scale is GPU else torch.float32)
    texts = [list(text.ids) for text in bench.workload.texts]
    ids = torch.tensor([texts[row % len(texts)] for row in range(rows)], device=bench.scale.device)

    @torch.no_grad()
    def run() -> None:
        model(input_ids=ids, attention_mask=torch.ones_like(ids), logits_to_keep=1)
        if bench.scale is GPU:
            torch.cuda.synchronize()

    return _median_ms(run, bench.scale.times)


def _median_ms(run: Callable[[], None], times: int) -> float:
    took = []
    for _ in range(times + 5 if times > 1 else 1):
        began = time.perf_counter()
        run()
        took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took[-times:])


def _bare_ms(bench: _Bench, rows: int, tokens: int = TEXT_TOKENS, kernel: int = EFFICIENT) -> float:
    java = f"{java_home()}/bin/java"
    app = ROOT / "target/quarkus-app"
    (jar,) = app.glob("lib/*/com.microsoft.onnxruntime*.jar")
    trunk = bench.workload.base.folder / bench.workload.base.variant(FP16).graph
    numbers = (rows, tokens, bench.workload.artifact.tokens, bench.scale.times, kernel)
    done = subprocess.run(
        [
            *(java, "--enable-native-access=ALL-UNNAMED"),
            f"-Donnxruntime.native.path={app}/native/Linux-x86_64",
            *("-cp", str(jar), str(BARE_SESSION), str(trunk), bench.scale.provider, *map(str, numbers)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def _tasks(bench: _Bench) -> Iterator[Bar]:
    """100 tasks in turn beside one, prompts of four lengths; each call is for one task."""
    store = LOGS / "work/cuda-tasks"
    names = bench.workload.write_tasks(store, bench.scale.tasks)
    with bench.serving(FP16, "tasks", f"file:{store}") as server:
        for name in names:
            server.require(name, bench.workload.texts[0].text)
        shares = []
        for _ in range(2):
            one, all_of_them = (
                bench.load(server, bench.calls(some), bench.scale.clients[-1], TEXTS_PER_CALL).texts_per_s
                for some in (names[2:3], names)
            )
            shares.append(all_of_them / one)
            bench.say(f"one task {one:,.0f} texts/s, {bench.scale.tasks} in turn {all_of_them:,.0f}")
    yield Bar(
        f"{bench.scale.tasks} tasks in turn: share of one task's texts/s", statistics.median(shares), 0.8
    )


def _memory(bench: _Bench) -> Iterator[Bar]:
    """What a server may take, what it took, and what becomes of a run that finds nothing."""
    limits = {"SOFTCALL_CUDA_MEMORY_LIMIT": f"{MEMORY_LIMIT_MB}M", "SOFTCALL_BATCH_TOKENS": "1000000"}
    limits |= {"SOFTCALL_PREFIX_CACHE_BYTES": "64M", "SOFTCALL_BATCH_PADDING_TOKENS": "1000000"}
    before = _used_mb() if bench.scale is GPU else 0.0
    text = bench.workload.texts[0].text
    with bench.serving(FP16, "memory", **limits) as server:
        bench.tell(server)
        long = bench.workload.texts_of(200, 1)[0].text
        statuses = [server.classify(TASK, [long] * 250 if bench.scale is GPU else [long]).status]
        statuses += [server.classify(TASK, text).status for _ in range(20)]
        used = _used_mb() - before if bench.scale is GPU else None
    bench.say(f"a run of 50,000 tokens: {statuses[0]}; then: {sorted(set(statuses[1:]))}")
    fell = float(statuses[0] == 503 and set(statuses[1:]) == {200}) if bench.scale is GPU else None
    yield Bar("a run without memory is answered 503, and the next ones 200", fell, 1)
    bound = MEMORY_LIMIT_MB + 72 + CONTEXT_MB
    note = f"limit {MEMORY_LIMIT_MB} MB, prefixes 72 MB, and CUDA itself"
    yield Bar("memory of the GPU that the server took", used, bound, " MB", at_most=True, note=note)


def _used_mb() -> float:
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 1e6


def _card() -> str:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    return subprocess.run(query, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _settings(bench: _Bench) -> Iterator[Bar]:
    """The same load with other settings than the defaults; no bar, but what the defaults rest on."""
    loads = (bench.scale.clients[-1], *bench.scale.clients[::-1])  # the first one warms up
    for settings in ({}, *SETTINGS, {}):
        name = " ".join(f"{name}={value}" for name, value in settings.items()) or "defaults"
        with bench.serving(FP16, "settings", **settings) as server:
            for clients in loads:
                got = bench.load(server, bench.calls([TASK]), clients, TEXTS_PER_CALL)
                bench.say(f"{name}: {clients} calls of {TEXTS_PER_CALL} texts: {got.told}")
    yield from ()


PARTS = (_parity, _speed, _tasks, _memory, _settings)
BARS = [part.__name__[1:] for part in PARTS[:-1]]


if __name__ == "__main__":
    main()
