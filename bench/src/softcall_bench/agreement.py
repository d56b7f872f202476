"""How often int8 gives the label that full precision gives, and how fast: the points that were tried.

    python -m softcall_bench.agreement --data DIR --prompts STORE

DIR holds sst2, trec and agnews as `agreement/train.sh` wants them, STORE the prompts that it trained; the
shipped tasks are always asked. Writes `agreement.json`. Prefixes come from full precision, as in the server.
`--only TASK` asks for a task whose prompt is new, and leaves the file's other figures and its times.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from softcall.artifact.artifact import Artifact
from softcall.base import default_base
from softcall.base.bundle import FULL_PRECISION, INT8, Bundle
from softcall.base.trunk import Trunk
from softcall.datasets.rows import read_rows
from softcall.export.graphs.int8 import int8_graph
from softcall.export.weights import smoothing
from softcall.export.weights.external_data import write_weights
from softcall.export.weights.gguf import GgufWeights
from softcall.export.weights.int8 import WEIGHT_STEPS, int8_weights
from softcall_bench.machine import Machine

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "bench/agreement.json"
EXAMPLES = ROOT / "training-exporter/examples"
GRAPH = "trunk.onnx"

MAX_TEXT_TOKENS = 256
RUN_TOKENS = 1_024  # as the server fills a run
SAMPLE_ROWS = 200  # of each task, for points that are not served
SPEED_ROUNDS = 15
SPEED_SHAPES = ((1, 26), (16, 26))
EIGHT_BITS = 127


@dataclass(frozen=True)
class Point:
    """A way to quantise: `served` is what `softcall base` writes."""

    name: str
    smoothed: bool = True
    steps: int = WEIGHT_STEPS
    kept: tuple[str, ...] = ()
    per_row: bool = True
    served: bool = False


POINTS = (
    Point("int8", served=True),
    Point("7-bit weights, no smoothing", smoothed=False),
    Point("8-bit weights, smoothing", steps=EIGHT_BITS),
    Point("8-bit weights, no smoothing", smoothed=False, steps=EIGHT_BITS),
    Point("7-bit weights, smoothing, down_proj in fp32", kept=("down_proj",)),
    Point("8-bit weights, smoothing, down_proj in fp32", steps=EIGHT_BITS, kept=("down_proj",)),
    Point("ONNX Runtime's quantize_dynamic, one scale a batch", smoothed=False, per_row=False),
)


@dataclass(frozen=True)
class Judged:
    """A task, its prompt and its test set."""

    name: str
    artifact: Path
    test: Path


def judged(data: Path | None, prompts: Path | None) -> list[Judged]:
    """The shipped tasks, and the others where they are."""
    shipped = {"banking77": "banking77/test.jsonl", "spamassassin": "spamassassin/test.jsonl.gz"}
    others = {"sst2": "sst2/test.jsonl", "trec": "trec/test.jsonl", "agnews": "agnews/test_2k.jsonl"}
    found = [Judged(task, _artifact(ROOT / "tasks", task), EXAMPLES / file) for task, file in shipped.items()]
    if data is not None and prompts is not None:
        found += [Judged(task, _artifact(prompts, task), data / file) for task, file in others.items()]
    return found


def _artifact(store: Path, task: str) -> Path:
    return store / task / "adapter_model.safetensors"


def build(point: Point, bundle: Bundle, folder: Path) -> Path:
    """Write a point's graph into `folder`; return its file. The served point lies in the bundle already.

    The bundle is of the default base, whose prompts the tasks are.
    """
    if point.served:
        return bundle.folder / bundle.variant(INT8).graph
    full = bundle.folder / bundle.variant().graph
    folder.mkdir(parents=True)
    if not point.per_row:
        quantize_dynamic(
            full,
            folder / GRAPH,
            op_types_to_quantize=["MatMul"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            # Its inference of types stops at the norms, which are ONNX Runtime's own.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
        return folder / GRAPH
    factors = smoothing.load(bundle.folder / INT8 / "smoothing.safetensors")
    if not point.smoothed:
        factors = {source: np.ones_like(values) for source, values in factors.items()}
    graph = int8_graph(onnx.load(full, load_external_data=False), point.kept)
    weights = GgufWeights(default_base.fetch())
    write_weights(graph, int8_weights(weights, factors, weights.architecture, point.steps), folder)
    (folder / GRAPH).write_bytes(graph.SerializeToString())
    return folder / GRAPH


def logits(graph: Path, *, base: Path, task: Judged, most: int | None, threads: int) -> dict:
    """Label logits [rows, labels] of a test set (or of `most` rows, evenly taken), and the gold labels."""
    bundle, artifact = Bundle.open(base), Artifact.from_bytes(task.artifact.read_bytes(), str(task.artifact))
    rows = read_rows(task.test, artifact.template.fields)
    if most is not None and len(rows) > most:
        rows = [rows[i * len(rows) // most] for i in range(most)]
    tokenizer = bundle.tokenizer()
    ids = [artifact.template.encode(tokenizer, row.texts, MAX_TEXT_TOKENS, truncate=True) for row in rows]
    prefix = artifact.prefix(bundle, threads)
    hidden = _hidden(Trunk(graph, threads), ids, prefix, bundle.hidden_size)
    return {
        "logits": hidden @ artifact.label_head.T + artifact.label_bias,
        "gold": np.array([artifact.labels.index(row.label) for row in rows]),
    }


def _hidden(trunk: Trunk, ids: Sequence[Sequence[int]], prefix, hidden_size: int) -> np.ndarray:
    hidden = np.empty((len(ids), hidden_size), np.float32)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    while order:
        run = [order.pop(0)]
        while order and (len(run) + 1) * len(ids[order[0]]) <= RUN_TOKENS:
            run.append(order.pop(0))
        padded = np.zeros((len(run), len(ids[run[-1]])), np.int64)
        for row, index in enumerate(run):
            padded[row, : len(ids[index])] = ids[index]
        last = np.array([len(ids[index]) - 1 for index in run])
        hidden[run] = trunk.hidden(padded, last, prefix=prefix)
    return hidden


def speeds(graphs: Mapping[str, Path], base: Path, artifact: Path) -> dict[str, list[float]]:
    """Median milliseconds of each graph for each of `SPEED_SHAPES`, in interleaved rounds."""
    bundle = Bundle.open(base)
    prefix = Artifact.from_bytes(artifact.read_bytes(), str(artifact)).prefix(bundle)
    trunks = {name: Trunk(graph) for name, graph in graphs.items()}
    random = np.random.default_rng(0)
    result: dict[str, list[float]] = {name: [] for name in graphs}
    for rows, tokens in SPEED_SHAPES:
        ids, last = random.integers(0, bundle.vocab_size, (rows, tokens)), np.full(rows, tokens - 1)
        took: dict[str, list[float]] = {name: [] for name in graphs}
        for _ in range(SPEED_ROUNDS):
            for name, trunk in trunks.items():
                started = time.perf_counter()
                trunk.hidden(ids, last, prefix=prefix)
                took[name].append(1e3 * (time.perf_counter() - started))
        for name, times in took.items():
            result[name].append(round(statistics.median(times), 2))
    return result


def main() -> None:
    """Build the points, ask them, time them, write the results."""
    options = _options()
    bundle = Bundle.open(options.base)
    tasks = judged(options.data, options.prompts)
    known: dict[str, dict] = {}
    if options.only:
        if unknown := set(options.only) - {task.name for task in tasks}:
            sys.exit(f"--only {', '.join(unknown)}: accepted are {', '.join(task.name for task in tasks)}")
        tasks = [task for task in tasks if task.name in options.only]
        record = json.loads(options.out.read_text())
        known = {point["name"]: point for point in record["points"]}
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(options.processes) as pool:
        graphs = {
            point.name: build(point, bundle, Path(folder) / str(number))
            for number, point in enumerate(POINTS)
        }
        full = bundle.folder / bundle.variant().graph
        sample = min(options.rows, SAMPLE_ROWS) if options.rows else SAMPLE_ROWS
        submit = partial(pool.submit, logits, base=options.base, threads=options.threads)
        references: dict[tuple[int | None, str], Future] = {}
        asked: dict[tuple[str, str], Future] = {}
        for point in POINTS:
            most = options.rows if point.served else sample
            for task in tasks:
                if (most, task.name) not in references:
                    references[most, task.name] = submit(full, task=task, most=most)
                asked[point.name, task.name] = submit(graphs[point.name], task=task, most=most)
        points = []
        for point in POINTS:
            most = options.rows if point.served else sample
            figures = {
                task.name: _compare(
                    references[most, task.name].result(), asked[point.name, task.name].result()
                )
                for task in tasks
            }
            print(point.name, *(f"{name} {f['agreement']:.4f}" for name, f in figures.items()), flush=True)
            before = known.get(point.name, {})
            figures = before.get("tasks", {}) | figures
            points.append({"variant": point.name, **asdict(point), **before, "tasks": figures})
            if not options.only:
                _write(options.out, points)  # what is known so far: the whole takes long
        if options.only:
            options.out.write_text(_text(record | {"points": points}))
            return
        times = speeds({FULL_PRECISION: full, **graphs}, options.base, tasks[0].artifact)
    for point in points:
        point["ms"] = times[point["name"]]
    _write(options.out, points, fp32_ms=times[FULL_PRECISION])


def _write(file: Path, points: Sequence[dict], **more) -> None:
    record = {"machine": asdict(Machine.here()), "shapes": SPEED_SHAPES, **more, "points": points}
    file.write_text(_text(record))


def _text(record: dict) -> str:
    return json.dumps(record, indent=1) + "\n"


def _compare(reference: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> dict:
    expected, found = reference["logits"].argmax(1), other["logits"].argmax(1)
    return {
        "n": len(expected),
        "fp32_accuracy": float((expected == reference["gold"]).mean()),
        "accuracy": float((found == reference["gold"]).mean()),
        "agreement": float((expected == found).mean()),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, default=ROOT / "build/base")
    parser.add_argument("--data", type=Path, help="folder with sst2, trec and agnews")
    parser.add_argument("--prompts", type=Path, help="store with the prompts of these")
    parser.add_argument("--only", nargs="+", metavar="TASK", help="what is asked anew")
    parser.add_argument("--rows", type=int, help="rows of each task at most; the default is all")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of each process; 0: all cores")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
