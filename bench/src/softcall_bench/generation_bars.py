"""What Softcall wants to reach where it writes text."""

from collections.abc import Iterator

from softcall_bench.bar import Bar
from softcall_bench.bench import FULL_PRECISION, INT8
from softcall_bench.book import Book, Key
from softcall_bench.machine import Machine
from softcall_bench.scenarios.generation import (
    answers,
    e2e,
    memory,
    mixed,
    replacement,
    served,
    speed,
    tasks_in_turn,
)

STREAMS = served.STREAMS


def generation_bars(book: Book, _machine: Machine) -> Iterator[Bar]:
    """All bars, measured or not; for variants but int8 those that were measured."""
    yield from _torch(book)
    for variant in served.COMPACT:
        groups = (_bleu, _speed, _pace, _mixed, _memory, _tasks, _replacement)
        bars = [bar for group in groups for bar in group(book, variant)]
        yield from (bar for bar in bars if variant == INT8 or bar.figure is not None)


def _torch(book: Book) -> Iterator[Bar]:
    widest: list[float] = []
    for name in answers.NAMES:
        for how in (answers.ALONE, answers.MIXED):
            key = Key(answers.SCENARIO, "softcall", FULL_PRECISION, detail=answers.beside_torch(name, how))
            rows, gap = book.median(key, "rows"), book.median(key, "largest_gap")
            side = "transformers'" if name == answers.CHAT else "PEFT's"
            yield Bar(
                f"fp32, {key.detail}: answers equal to {side}, token by token",
                book.median(key, "equal"),
                0.999,
                note="" if rows is None else f"{rows:,.0f} answers",
            )
            widest += [] if gap is None else [gap]
    yield Bar(
        "fp32: gap of PyTorch's best two logits where a token differs",
        max(widest, default=None),
        1e-3,
        at_most=True,
    )


def _bleu(book: Book, variant: str) -> Iterator[Bar]:
    for name in (e2e.SOFT, e2e.KV):
        keys = [
            Key(answers.SCENARIO, "softcall", each, detail=answers.bleu(name))
            for each in (variant, FULL_PRECISION)
        ]
        difference = book.difference(*keys, "bleu")
        scores = [book.median(key, "bleu") for key in keys]
        yield Bar(
            f"E2E, {name} prompt: BLEU of {variant} differs from fp32's by",
            None if difference is None else abs(difference),
            0.5,
            at_most=True,
            note="" if None in scores else "{:.2f} and {:.2f}".format(*scores),
        )


def _wrote(side: str, variant: str, streams: int, cores: str) -> Key:
    return Key(speed.SCENARIO, side, variant, streams, cores)


def _speed(book: Book, variant: str) -> Iterator[Bar]:
    for cores, streams, side, name, wanted in (
        (speed.ONE, 1, "llama.cpp", "llama.cpp's", 1.2),
        (speed.ONE, STREAMS, "llama.cpp", "llama.cpp's batch of 16", 3.0),
        (speed.ONE, STREAMS, "generate", "a batch of 16 by PEFT's generate", 3.0),
        (speed.TWO, 1, "llama.cpp", "llama.cpp's", 1.0),
        (speed.TWO, STREAMS, "llama.cpp", "llama.cpp's batch of 16", 2.2),
    ):
        ours, theirs = _wrote("softcall", variant, streams, cores), _wrote(side, "", streams, cores)
        yield Bar(
            f"{cores}, {_streams(streams)}, {variant}: tokens/s over {name}",
            book.ratio(ours, theirs, "tokens_per_s"),
            wanted,
            "x",
        )
    bare = _wrote("onnxruntime", variant, STREAMS, speed.ONE)
    yield Bar(
        f"{speed.ONE}, {_streams(STREAMS)}, {variant}: share of bare ONNX Runtime's tokens/s",
        book.ratio(_wrote("softcall", variant, STREAMS, speed.ONE), bare, "tokens_per_s"),
        0.95,
        note="the same graphs from Python, 16 rows that begin together: no HTTP, no events, no joining",
    )


def _pace(book: Book, variant: str) -> Iterator[Bar]:
    for cores in speed.CORES:
        key = _wrote("softcall", variant, STREAMS, cores)
        yield Bar(
            f"{cores}, {_streams(STREAMS)}, {variant}: p99 between two tokens over the median",
            book.ratio(key, key, "gap_p99_ms", "gap_p50_ms"),
            2.0,
            at_most=True,
        )
    for cores in speed.CORES:
        first, text = (
            Key(speed.SCENARIO, "softcall", variant, detail=detail(cores))
            for detail in (speed.first_token, speed.classification)
        )
        yield Bar(
            f"{cores}, a lone stream, {variant}: first token over a classification of the same text",
            book.ratio(first, text, "median_ms"),
            1.3,
            at_most=True,
        )


def _mixed(book: Book, variant: str) -> Iterator[Bar]:
    for kind, clients, figure, name in (
        (mixed.WRITING, mixed.STREAMS, "gap_p99_ms", "p99 between two tokens"),
        (mixed.CLASSIFYING, mixed.CLIENTS, "p99_ms", "p99 of a classification"),
    ):
        beside, alone = (
            Key(mixed.SCENARIO, "softcall", variant, clients, mixed.detail(kind, how))
            for how in (mixed.TOGETHER, mixed.ALONE)
        )
        yield Bar(
            f"one core, 8 streams and 8 callers, {variant}: {name} over that alone",
            book.ratio(beside, alone, figure),
            2.5,
            at_most=True,
        )
    after, never = (
        Key(mixed.SCENARIO, "softcall", variant, mixed.CLIENTS, detail)
        for detail in (mixed.detail(mixed.CLASSIFYING, mixed.ALONE), mixed.NEVER)
    )
    yield Bar(
        f"one core, 8 callers, {variant}: p50 over that of a server that never wrote",
        book.ratio(after, never, "p50_ms"),
        1.05,
        at_most=True,
    )


def _memory(book: Book, variant: str) -> Iterator[Bar]:
    for detail in (memory.DURING, memory.AFTER):
        key = Key(memory.SCENARIO, "softcall", variant, STREAMS, detail)
        peak = book.median(key, "peak_rss_mb")
        yield Bar(
            f"PSS, {variant}, {detail}",
            book.median(key, "pss_mb"),
            650,
            " MB",
            at_most=True,
            note="" if peak is None else f"peak RSS {peak:,.0f} MB",
        )


def _tasks(book: Book, variant: str) -> Iterator[Bar]:
    keys = [key for key in book.measured(tasks_in_turn.SCENARIO) if key.variant == variant]
    one = next((key for key in keys if key.detail == tasks_in_turn.detail(1)), None)
    many = next((key for key in keys if key != one), None)
    detail = many.detail if many else tasks_in_turn.detail(tasks_in_turn.TASKS)
    share = book.ratio(many, one, "tokens_per_s") if many and one else None
    yield Bar(f"{detail}, {_streams(STREAMS)}, {variant}: share of one task's tokens/s", share, 0.9)


def _replacement(book: Book, variant: str) -> Iterator[Bar]:
    for task in replacement.KINDS:
        key = Key(replacement.SCENARIO, "softcall", variant, STREAMS, replacement.replaced(task))
        counts = [book.median(key, name) for name in ("answers", "replacements", "versions_seen")]
        stale, unknown = book.median(key, "stale"), book.median(key, "unknown")
        told = "{:,.0f} answers, {:,.0f} replacements, {:,.0f} versions seen"
        yield Bar(
            f"{key.detail}, {variant}: answers of an older version, or of none",
            None if stale is None or unknown is None else stale + unknown,
            0,
            at_most=True,
            note="" if None in counts else told.format(*counts),
        )


def _streams(count: int) -> str:
    return "1 stream" if count == 1 else f"{count} streams"
