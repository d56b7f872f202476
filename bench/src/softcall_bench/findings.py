"""The findings that docs/results.md begins with, each with its difference and a link to its table."""

from collections.abc import Iterable, Iterator

import numpy as np

from softcall_bench.effects import FEW, by_template, common_accuracies
from softcall_bench.recorded import Method, Recorded, better_prompts

HARD = "rte"
FEW_ROWS = 16
TEMPLATES = "trec"


def findings() -> list[str]:
    """Each as an item of a list; without those whose trainings are not recorded."""
    return [f"- {text}" for group in (_full, _kv, _few, _templates, _defaults) for text in group()]


def _full() -> Iterator[str]:
    prompts, others = Recorded.read("prompts"), Recorded.read("others")
    gaps = {
        data: 100 * (line.accuracy - full.accuracy)
        for data, line in prompts.prompts()
        if (full := others.lines.get((data, Method.FULL))) is not None
    }
    if HARD not in gaps:
        return
    full, prompt = (
        line.records[0].trained_parameters
        for line in (others.lines[HARD, Method.FULL], prompts.lines[HARD, Method.PROMPT])
    )
    yield (
        f"**A prompt nearly reaches full fine-tuning: {_mean(gaps.values()):+.2f} points**, the mean of "
        f"{len(gaps)} data sets, with {full / prompt:,.0f} times fewer trained parameters on {HARD} "
        "([prompts](#prompts), [other methods](#other-methods))."
    )
    rest = [gap for data, gap in gaps.items() if data != HARD]
    yield (
        f"**{HARD} is the exception: {gaps[HARD]:+.1f} points** from full fine-tuning. The mean of the other "
        f"{len(rest)} is {_mean(rest):+.2f} points. {HARD} misses its goal ([bars](#bars))."
    )


def _kv() -> Iterator[str]:
    prompts, kv, others = (Recorded.read(part) for part in ("prompts", "kv", "others"))
    gains = {
        data: 100 * (line.accuracy - soft)
        for data, line in kv.prompts(Method.KV)
        if (soft := prompts.accuracy(data)) is not None
    }
    if not gains:
        return
    least, most = min(gains, key=gains.__getitem__), max(gains, key=gains.__getitem__)
    yield (
        f"**KV prompts differ from soft ones by {_mean(gains.values()):+.2f} points**, the mean of "
        f"{len(gains)} data sets; from {gains[least]:+.1f} on {least} to {gains[most]:+.1f} on {most} "
        "([KV prompts](#kv-prompts))."
    )
    gaps = {
        data: 100 * (line.accuracy - full)
        for data, line in better_prompts().items()
        if (full := others.accuracy(data, Method.FULL)) is not None
    }
    if gaps:
        yield (
            f"**Of both types the better one on dev is {_mean(gaps.values()):+.2f} points** from full "
            f"fine-tuning, the mean of {len(gaps)} data sets ([bars](#bars))."
        )


def _few() -> Iterator[str]:
    few = Recorded.read(FEW)
    gaps = {}
    for data in ("agnews", "sst2", "trec"):
        prompt, full = (few.accuracy(f"{data}-{FEW_ROWS}", method) for method in (Method.PROMPT, Method.FULL))
        if prompt is not None and full is not None:
            gaps[data] = 100 * (prompt - full)
    if gaps:
        told = ", ".join(f"{gap:+.1f} points on {data}" for data, gap in gaps.items())
        yield (
            f"**With {FEW_ROWS} rows a class a prompt falls behind full fine-tuning: {told}.** The intervals "
            "are wide ([few rows](#few-rows))."
        )


def _templates() -> Iterator[str]:
    if templates := by_template().get(TEMPLATES):
        shares = common_accuracies(templates)
        best, worst = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
        gain = 100 * (shares[best] - shares[worst])
        yield (
            f"**The template matters: {gain:+.1f} points on {TEMPLATES}** with "
            f"{best} instead of {worst}, by cross-validation "
            "([templates](#templates-by-cross-validation))."
        )


def _defaults() -> Iterator[str]:
    prompts, default = Recorded.read("prompts"), Recorded.read("default")
    gains = {
        data: 100 * (line.accuracy - before)
        for data, line in prompts.prompts()
        if (before := default.accuracy(data)) is not None
    }
    if gains:
        least, most = min(gains, key=gains.__getitem__), max(gains, key=gains.__getitem__)
        mean = _mean(gains.values())
        yield (
            f"**Settings chosen on dev gain {mean:+.1f} points over the defaults**, the mean of "
            f"{len(gains)} data sets; from {gains[least]:+.1f} on {least} to {gains[most]:+.1f} on {most} "
            "([prompts](#prompts), [defaults](#prompts-by-default))."
        )


def _mean(points: Iterable[float]) -> float:
    return float(np.mean(list(points)))
