"""The machine: its CPU, and the fastest matrix products that its libraries reach."""

import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softcall_bench import cores

FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")
SIZES = ((416, 576, 1536), (1024, 1024, 1024), (2048, 2048, 2048))
SECONDS = 1.0


@dataclass(frozen=True)
class Machine:
    """What figures belong to."""

    cpu: str
    cores: int
    features: tuple[str, ...]
    memory_gb: float
    other_cores: int = 0
    """What the store, the load and the bench have to themselves; none where all share `cores`."""

    @classmethod
    def here(cls) -> "Machine":
        """This machine."""
        info = Path("/proc/cpuinfo").read_text()
        model = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
        flags = set(re.search(r"^flags\s*: (.*)$", info, re.MULTILINE)[1].split())
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        return cls(
            model[1] if model else platform.processor(),
            cores.measured_count(),
            tuple(feature for feature in FEATURES if feature in flags),
            round(memory, 1),
            cores.other_count(),
        )

    @classmethod
    def of(cls, record: dict) -> "Machine":
        """Read back what a results file holds."""
        return cls(**record | {"features": tuple(record["features"])})

    @property
    def has_int8_instructions(self) -> bool:
        """Whether int8 products have instructions of their own."""
        return bool({"avx512_vnni", "avx_vnni", "amx_int8"} & set(self.features))

    def __str__(self) -> str:
        others = f" and {self.other_cores} for the store and the load" if self.other_cores else ""
        return f"{self.cpu}, {self.cores} cores{others}, {' '.join(self.features)}, {self.memory_gb} GB"


def fp32_gflops() -> dict[str, float]:
    """The best rate of a float32 matrix product, by library, in 10^9 operations a second."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    best = {"numpy": 0.0, "torch": 0.0}
    for m, k, n in SIZES:
        a, b = (np.random.default_rng(0).random(shape, np.float32) for shape in ((m, k), (k, n)))
        best["numpy"] = max(best["numpy"], _rate(lambda a=a, b=b: a @ b, m, k, n))
        a, b = torch.from_numpy(a), torch.from_numpy(b)
        best["torch"] = max(best["torch"], _rate(lambda a=a, b=b: torch.mm(a, b), m, k, n))
    return best


def int8_gops() -> dict[str, float]:
    """The best rate of an int8 matrix product (u8 x s8 to s32) in 10^9 operations a second, by library.

    ONNX Runtime's alone: `torch._int_mm` is a plain loop on CPUs.
    """
    best = 0.0
    for m, k, n in SIZES:
        random = np.random.default_rng(0)
        session = _integer_product(random.integers(-64, 64, (k, n), np.int8))
        feeds = {"a": random.integers(0, 128, (m, k), np.uint8)}
        best = max(best, _rate(lambda run=session.run, feeds=feeds: run(None, feeds), m, k, n))
    return {"onnxruntime": best}


def _integer_product(weights: np.ndarray):
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, ["m", weights.shape[0]])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, ["m", weights.shape[1]])],
        [numpy_helper.from_array(weights, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _rate(product: Callable[[], object], m: int, k: int, n: int) -> float:
    """Of the fastest run within `SECONDS`; slow products run twice."""
    best = float("inf")
    ends = time.perf_counter() + SECONDS
    for run in range(1_000_000):
        started = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - started)
        if run and time.perf_counter() > ends:
            break
    return 2 * m * k * n / best / 1e9


def trunk_operations_per_token(graph: Path) -> int:
    """Operations that the trunk's weights cost a token: two for each element of a matrix that a row meets."""
    import onnx

    model = onnx.load(graph, load_external_data=False).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.initializer}
    products = (shapes.get(node.input[1]) for node in model.node if node.op_type == "MatMul")
    return 2 * sum(int(np.prod(shape)) for shape in products if shape is not None)
