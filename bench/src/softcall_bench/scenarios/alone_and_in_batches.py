"""Whether an answer depends on the rows that share its run: label logits alone and in a call of many."""

import numpy as np

from softcall_bench.bench import FILE_STORE, Bench
from softcall_bench.book import Key
from softcall_bench.server import serving
from softcall_bench.workload import TASK

SCENARIO = "batches"
LENGTHS = (12, 18, 26, 40, 60)
PER_LENGTH = 8


def run(bench: Bench) -> None:
    """Ask for texts of several lengths at once, then one by one; the largest difference of a logit."""
    texts = [text.text for tokens in LENGTHS for text in bench.workload.texts_of(tokens, PER_LENGTH)]
    for variant in bench.variants:
        with serving(FILE_STORE, variant, f"{SCENARIO}-{variant}") as server:
            together = _logits(server.require(TASK, texts, logits=True))
            alone = np.concatenate([_logits(server.require(TASK, text, logits=True)) for text in texts])
        largest = float(np.abs(together - alone).max())
        bench.book.add(Key(SCENARIO, "softcall", variant, len(texts)), {"largest_difference": largest})
        bench.say(
            f"{variant}: {len(texts)} texts alone and together differ by at most {largest:.1e} in a logit"
        )


def _logits(answer) -> np.ndarray:
    return np.array([item["logits"] for item in answer.body["data"]])
