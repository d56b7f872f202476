"""The machine's own matrix products: what no model on it can exceed."""

from softcall_bench.bench import FULL_PRECISION, Bench
from softcall_bench.book import Key
from softcall_bench.cores import in_measured_process
from softcall_bench.machine import fp32_gflops, int8_gops, trunk_operations_per_token


def run(bench: Bench) -> None:
    """Measure float32 and int8 products, and count what a token costs."""
    base = bench.workload.base
    graph = base.folder / base.variant(FULL_PRECISION).graph
    bench.book.add(Key("limit", "trunk"), {"gop_per_token": trunk_operations_per_token(graph) / 1e9})
    for variant, measure in (("fp32", fp32_gflops), ("int8", int8_gops)):
        rates = in_measured_process(measure)
        for library, rate in rates.items():
            bench.book.add(Key("limit", library, variant), {"gop_per_s": rate})
        bench.book.add(Key("limit", "best", variant), {"gop_per_s": max(rates.values())})
        bench.say(f"{variant} matrix products: {', '.join(f'{k} {v:,.0f}' for k, v in rates.items())} GOP/s")
