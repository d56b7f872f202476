"""What Softcall wants to reach, and whether these figures do."""

import json
import math
from collections.abc import Iterator

from softcall_bench.bar import Bar
from softcall_bench.bench import FULL_PRECISION, INT8
from softcall_bench.book import Book, Key
from softcall_bench.generation_bars import generation_bars
from softcall_bench.local_server import ROOT
from softcall_bench.machine import Machine
from softcall_bench.scenarios import (
    adapters,
    cold_start,
    kv_prompts,
    listing,
    memory,
    one_core,
    overload,
    revalidation,
    speed,
    tasks_in_turn,
)

AGREEMENT_FILE = ROOT / "bench/agreement.json"
BATCH = 16


def bars(book: Book, machine: Machine) -> list[Bar]:
    """All bars, measured or not."""
    groups = (
        _single,
        _crowd,
        _overhead,
        _revalidation,
        _one_core,
        _tasks,
        _agreement,
        _start_and_memory,
        _overload,
        _listing,
        _adapters,
        _kv_prompts,
        generation_bars,
    )
    return [bar for group in groups for bar in group(book, machine)]


def _single(book: Book, machine: Machine) -> Iterator[Bar]:
    served = {variant: Key("speed", "softcall", variant) for variant in (FULL_PRECISION, INT8)}
    peft, trunk, llama = (Key("speed", side) for side in ("peft", "torch trunk", "llama.cpp"))
    for variant, side, key, wanted in (
        (INT8, "PEFT fp32", peft, 5.0),
        (INT8, "a torch trunk, prompt in line", trunk, 3.2),
        (INT8, "llama.cpp on the text alone", llama, 2.3),
        (FULL_PRECISION, "PEFT fp32", peft, 3.9),
    ):
        faster = book.ratio(key, served[variant], "p50_ms")
        yield Bar(f"one text over HTTP, {variant}: times as fast as {side}", faster, wanted, "x")
    if machine.has_int8_instructions:
        faster = book.ratio(served[FULL_PRECISION], served[INT8], "p50_ms")
        ratios = book.ratios(served[FULL_PRECISION], served[INT8], "p50_ms")
        note = f"rounds from {min(ratios):.2f}x to {max(ratios):.2f}x" if ratios else ""
        yield Bar("one text over HTTP: int8 times as fast as fp32", faster, 2.2, "x", note=note)


def _crowd(book: Book, _machine: Machine) -> Iterator[Bar]:
    peft = Key("speed", "peft", "", BATCH)
    for variant, wanted in ((INT8, 4.5), (FULL_PRECISION, 3.1)):
        served = Key("speed", "softcall", variant, BATCH)
        batches = [Key("speed", "onnxruntime", variant, size) for size in speed.COMPARED]
        shares = [book.ratio(served, batch, "texts_per_s") for batch in batches if batch in book.measured()]
        share = min((share for share in shares if share is not None), default=None)
        yield Bar(
            f"16 clients, {variant}: share of bare ONNX Runtime's best batch",
            share,
            0.9,
            note=f"of {' and '.join(map(str, speed.COMPARED))} rows, measured in every round",
        )
        faster = book.ratio(served, peft, "texts_per_s")
        yield Bar(f"16 clients, {variant}: texts/s over PEFT's batch of 16", faster, wanted, "x")


def _overhead(book: Book, _machine: Machine) -> Iterator[Bar]:
    for variant in (INT8, FULL_PRECISION):
        bare, served = Key("speed", "onnxruntime", variant), Key("speed", "softcall", variant)
        bare_ms = book.median(bare, "p50_ms")
        yield Bar(
            f"1 client, {variant}: HTTP, JSON, tokenizer and batching add",
            book.difference(served, bare, "p50_ms"),
            max(2.0, 0.15 * bare_ms) if bare_ms is not None else math.nan,
            " ms",
            at_most=True,
            note="15 % of bare ONNX Runtime, or 2 ms",
            noise=_is_noise(book.differences(served, bare, "p50_ms")),
        )


def _revalidation(book: Book, _machine: Machine) -> Iterator[Bar]:
    variant = _variant_of(book, revalidation.SCENARIO)

    def key(clients: int, detail: str) -> Key:
        return Key(revalidation.SCENARIO, "softcall", variant, clients, detail)

    away = revalidation.delay(10)
    slower = book.ratio(key(1, away), key(1, revalidation.OFF), "p50_ms")
    elsewhere = book.ratio(key(1, revalidation.ASKED_BY_ANOTHER), key(1, revalidation.OFF), "p50_ms")
    yield Bar(
        f"1 client, {variant}: p50 with a {away} over p50 without revalidation",
        slower,
        1.05,
        at_most=True,
        note="" if elsewhere is None else f"{elsewhere:.2f} where another process revalidates instead",
    )
    trip = book.median(key(16, away), "round_trip_ms")
    many, trusting = key(16, away), key(16, revalidation.OFF)
    yield Bar(
        f"16 clients, {variant}: p50 that a {away} adds",
        book.difference(many, trusting, "p50_ms"),
        trip if trip is not None else math.nan,
        " ms",
        at_most=True,
        note="one round trip to the store",
        noise=_is_noise(book.differences(many, trusting, "p50_ms")),
    )


def _one_core(book: Book, machine: Machine) -> Iterator[Bar]:
    def key(variant: str, detail: str) -> Key:
        return Key(one_core.SCENARIO, "softcall", variant, detail=detail)

    trusting = {variant: key(variant, revalidation.OFF) for variant in (FULL_PRECISION, INT8)}
    if machine.has_int8_instructions:
        faster = book.ratio(trusting[FULL_PRECISION], trusting[INT8], "p50_ms")
        yield Bar("one core, one text over HTTP: int8 times as fast as fp32", faster, 2.2, "x")
    away = revalidation.delay(revalidation.NEAR_MS)
    slower = book.ratio(key(INT8, away), trusting[INT8], "p50_ms")
    yield Bar(
        f"one core, 1 client, int8: p50 with a {away} over p50 without revalidation",
        slower,
        1.05,
        at_most=True,
    )


def _tasks(book: Book, _machine: Machine) -> Iterator[Bar]:
    variant = _variant_of(book, tasks_in_turn.SCENARIO)

    def key(detail: str) -> Key:
        return Key(tasks_in_turn.SCENARIO, "softcall", variant, tasks_in_turn.CLIENTS, detail)

    one = key(tasks_in_turn.fits(1))
    for count in (100, 1000):
        share = book.ratio(key(tasks_in_turn.fits(count)), one, "texts_per_s")
        yield Bar(f"{count:,} tasks in turn, {variant}: share of one task's texts/s", share, 0.9)


def _agreement(book: Book, _machine: Machine) -> Iterator[Bar]:
    tasks = _agreement_tasks()
    for name in ("banking77", "spamassassin", "sst2", "trec", "agnews"):
        task = tasks.get(name)
        note = ""
        if task is not None:
            error = math.sqrt(task["agreement"] * (1 - task["agreement"]) / task["n"])
            note = f"n {task['n']:,}, standard error {error:.4f}"
        yield Bar(f"{name}: int8 agrees with fp32", task and task["agreement"], 0.98, note=note)
    losses = [100 * (task["fp32_accuracy"] - task["accuracy"]) for task in tasks.values()]
    mean = sum(losses) / len(losses) if losses else None
    yield Bar("accuracy that int8 loses, mean of the tasks", mean, 0.5, " points", at_most=True)
    yield Bar("accuracy that int8 loses, worst task", max(losses, default=None), 1.0, " points", at_most=True)
    for variant in (INT8, FULL_PRECISION):
        keys = [key for key in book.measured("batches") if key.variant == variant]
        largest = book.median(keys[0], "largest_difference") if keys else None
        yield Bar(f"rows alone and in batches, {variant}: logits differ by", largest, 1e-3, at_most=True)


def _start_and_memory(book: Book, _machine: Machine) -> Iterator[Bar]:
    for detail, wanted in ((cold_start.WITH, 0.8), (cold_start.WITHOUT, 1.3)):
        took_ms = book.median(Key(cold_start.SCENARIO, "softcall", INT8, detail=detail), "first_answer_ms")
        seconds = None if took_ms is None else took_ms / 1e3
        yield Bar(
            f"cold process to first correct answer, int8, {detail}", seconds, wanted, " s", at_most=True
        )
    rest = Key(memory.SCENARIO, "softcall", INT8, detail=memory.DETAIL)
    peak = book.median(rest, "peak_rss_mb")
    note = "" if peak is None else f"peak RSS {peak:.0f} MB"
    yield Bar("steady PSS, int8, ten tasks", book.median(rest, "pss_mb"), 420, " MB", at_most=True, note=note)
    kv_rest = Key(memory.SCENARIO, "softcall", INT8, detail=memory.KV_DETAIL)
    yield Bar(
        "steady PSS, int8: ten KV tasks over ten of soft prompts",
        book.ratio(kv_rest, rest, "pss_mb"),
        1.03,
        at_most=True,
    )


def _overload(book: Book, _machine: Machine) -> Iterator[Bar]:
    variant = _variant_of(book, overload.SCENARIO)
    key = Key(overload.SCENARIO, "softcall", variant, detail=overload.DETAIL)
    accepted, refused = book.median(key, "accepted"), book.median(key, "refused")
    note = "" if accepted is None else f"{accepted:,.0f} answered, {refused:,.0f} refused with 429"
    yield Bar(f"overload, {variant}: errors but 429", book.median(key, "errors"), 0, at_most=True, note=note)
    bound, meanwhile = (book.median(key, name) for name in ("p99_bound_ms", "share_of_capacity_meanwhile"))
    pace = "-" if meanwhile is None else f"{meanwhile:.2f}"
    yield Bar(
        f"overload, {variant}: p99 of accepted calls",
        book.median(key, "p99_ms"),
        bound if bound is not None else math.nan,
        " ms",
        at_most=True,
        note=f"a full queue and the batches in progress at full speed; that minute had {pace} of full speed",
    )
    share = book.median(key, "share_of_capacity_after")
    yield Bar(f"overload, {variant}: share of full speed 2 s after", share, 0.9)


def _listing(book: Book, _machine: Machine) -> Iterator[Bar]:
    variant = _variant_of(book, listing.SCENARIO)

    def key(detail: str) -> Key:
        return Key(listing.SCENARIO, "softcall", variant, detail=detail)

    for count in listing.COUNTS:
        beside = [key(listing.beside(path, count)) for path in (listing.PAGE, listing.HEALTH)]
        yield Bar(
            f"beside {listing.LOOPS} loops of pages, {count:,} tasks: p50 over that beside health checks",
            book.ratio(*beside, "p50_ms"),
            1.2,
            at_most=True,
        )
    few, many = (key(listing.pages(count)) for count in listing.COUNTS)
    longer = book.ratio(many, few, "page_ms")
    yield Bar("a page of 30,000 tasks over one of 3,000", longer, 1.2, at_most=True)


def _adapters(book: Book, _machine: Machine) -> Iterator[Bar]:
    for adapter in adapters.ADAPTERS:
        key = Key(adapters.SCENARIO, "softcall", FULL_PRECISION, detail=adapter.name)
        yield Bar(
            f"{adapter.name}: logits differ from PEFT's by",
            book.median(key, "difference"),
            1e-3,
            at_most=True,
            note=f"beside {adapters.RELATIVE:g} of the logit",
        )
    for adapter in adapters.ADAPTERS:
        key = Key(adapters.SCENARIO, "softcall", INT8, detail=adapter.name)
        yield Bar(f"{adapter.name}: int8 agrees with PEFT", book.median(key, "agreement"), 0.98)


def _kv_prompts(book: Book, _machine: Machine) -> Iterator[Bar]:
    variant = _variant_of(book, kv_prompts.SCENARIO)

    def key(detail: str, side: str = "softcall", clients: int = 1) -> Key:
        return Key(kv_prompts.SCENARIO, side, variant, clients, detail)

    took_ms = book.median(key(kv_prompts.WITHOUT_ENCODER), "first_answer_ms")
    seconds = None if took_ms is None else took_ms / 1e3
    yield Bar(
        f"cold process to first correct answer, {variant}, {kv_prompts.WITHOUT_ENCODER}",
        seconds,
        0.75,
        " s",
        at_most=True,
    )
    short, long = key(kv_prompts.kv(kv_prompts.SHORT)), key(kv_prompts.kv(kv_prompts.LONG))
    soft = key(kv_prompts.SOFT)
    yield Bar(
        f"1 client, {variant}: p50 behind {kv_prompts.kv(kv_prompts.SHORT)} over a soft one's",
        book.ratio(short, soft, "p50_ms"),
        1.05,
        at_most=True,
        noise=_is_noise(book.differences(short, soft, "p50_ms")),
    )
    bare = key(kv_prompts.kv(kv_prompts.LONG), "onnxruntime")
    yield Bar(
        f"1 client, {variant}: p50 behind {kv_prompts.kv(kv_prompts.LONG)} over bare ONNX Runtime's",
        book.ratio(long, bare, "p50_ms"),
        1.25,
        at_most=True,
    )
    alone = [
        book.median(key(kv_prompts.kv(tokens), clients=kv_prompts.CLIENTS), "texts_per_s")
        for tokens in kv_prompts.MIXED
    ]
    mixed = book.median(key(kv_prompts.MIX, clients=kv_prompts.CLIENTS), "texts_per_s")
    yield Bar(
        f"16 clients, {variant}: texts/s of {kv_prompts.MIX} over those of each length alone",
        None if mixed is None or None in alone else mixed * sum(1 / each for each in alone) / len(alone),
        0.9,
        note="rows of different lengths share no batch; mean of the times of a text",
    )
    fits, half = (
        key(kv_prompts.tasks(kv_prompts.TASKS, caches), clients=kv_prompts.CLIENTS)
        for caches in (kv_prompts.FITS, kv_prompts.HALF)
    )
    memory_mb = book.median(half, "rss_mb")
    yield Bar(
        f"{kv_prompts.TASKS} KV tasks by Zipf's law, {variant}: share of texts/s with {kv_prompts.HALF}",
        book.ratio(half, fits, "texts_per_s"),
        0.8,
        note="" if memory_mb is None else f"RSS {memory_mb:,.0f} MB",
    )
    yield Bar(
        "the same: prefixes in the cache over what it may hold",
        book.ratio(half, half, "cached_mb", "allowed_mb"),
        1.0,
        at_most=True,
    )
    yield Bar(
        f"a miss of {kv_prompts.kv(kv_prompts.LONG)} over {kv_prompts.READ}",
        book.ratio(key(kv_prompts.MISS), key(kv_prompts.READ), "ms"),
        1.5,
        at_most=True,
    )


def agreement_note() -> str | None:
    """What is missing of the agreement figures, if anything is."""
    if not AGREEMENT_FILE.is_file():
        return f"agreement of int8: no {AGREEMENT_FILE.relative_to(ROOT)}"
    return (
        None
        if _agreement_tasks()
        else f"agreement of int8: {AGREEMENT_FILE.relative_to(ROOT)} has no point int8"
    )


def _agreement_tasks() -> dict[str, dict]:
    """The tasks' figures of the point that is served as int8."""
    if not AGREEMENT_FILE.is_file():
        return {}
    points = json.loads(AGREEMENT_FILE.read_text())["points"]
    return next((point["tasks"] for point in points if point["variant"] == INT8), {})


def _is_noise(differences: list[float]) -> bool:
    """Whether a cost shows in some rounds alone: none is below zero but by noise."""
    return bool(differences) and min(differences) <= 0


def _variant_of(book: Book, scenario: str) -> str:
    """The variant that a scenario was run with."""
    return next((key.variant for key in book.measured(scenario)), INT8)
