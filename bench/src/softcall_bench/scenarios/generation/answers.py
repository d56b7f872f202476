"""Whether answers are those of PyTorch, token by token; and how far those of smaller variants are from them.

`fp32` answers alone, and 16 at a time mixed with other lengths, other tasks and classifications. The other
variants are compared by BLEU, because a near tie early in an answer changes all that follows.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sacrebleu.metrics import BLEU

from softcall_bench.bench import FULL_PRECISION, Bench
from softcall_bench.book import Key
from softcall_bench.scenarios.generation import e2e, torch_answers
from softcall_bench.scenarios.generation.e2e import E2e
from softcall_bench.scenarios.generation.served import STREAMS, compact, new_store
from softcall_bench.scenarios.generation.torch_answers import END, TorchAnswer
from softcall_bench.server import Server, serving
from softcall_bench.workload import TASK

SCENARIO = "generation-answers"
INPUTS, CHATS, QUICK_ROWS = 300, 100, 20
CHAT_TOKENS = 64
CLASSIFYING = 2
CHAT = "chat"
NAMES = (e2e.SOFT, e2e.KV, CHAT)
ALONE, MIXED = "alone", f"{STREAMS} at a time, mixed"
NOT_A_CHARACTER = "\ufffd"
SEED = 3


def beside_torch(name: str, how: str) -> str:
    """The detail of a key for answers of a task, or of chats, that were given `ALONE` or `MIXED`."""
    return f"{name}, {how}"


def bleu(name: str) -> str:
    """The detail of a key for the BLEU of a prompt's answers."""
    return f"BLEU, {name}"


@dataclass(frozen=True)
class Row:
    """A text for a task, or a message to the base itself."""

    name: str
    text: str

    def ask(self, server: Server) -> "Written":
        """Let the server write; raises `ServerFailed`."""
        is_chat = self.name == CHAT
        asked = {"messages": [{"role": "user", "content": self.text}]} if is_chat else {"prompt": self.text}
        limit = CHAT_TOKENS if is_chat else e2e.MAX_TOKENS
        logprobs = {"logprobs": True, "top_logprobs": 0} if is_chat else {"logprobs": 0}
        path = "/v1/chat/completions" if is_chat else "/v1/completions"
        body = {"model": self.name, "max_tokens": limit, "temperature": 0, **asked, **logprobs}
        choice = server.require_answer(path, body).body["choices"][0]
        if is_chat:
            tokens = [token["token"] for token in choice["logprobs"]["content"]]
            return Written(choice["message"]["content"], tuple(tokens))
        return Written(choice["text"], tuple(choice["logprobs"]["tokens"]))


@dataclass(frozen=True)
class Written:
    """The text of an answer, and that of each of its tokens."""

    text: str
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class _Expected:
    """What PyTorch writes for some rows."""

    bench: Bench
    answers: Mapping[Row, TorchAnswer]

    def compare(self, found: Mapping[Row, Written], how: str) -> None:
        """Write down for each task how many rows are equal, and the widest gap where one is not."""
        for name in NAMES:
            rows = [row for row in self.answers if row.name == name]
            if not rows:
                continue
            gaps = [self._gap(row, found[row]) for row in rows]
            other = [gap for gap in gaps if gap is not None]
            figures = {
                "rows": len(rows),
                "equal": 1 - len(other) / len(rows),
                "largest_gap": max(other, default=0.0),
            }
            key = Key(SCENARIO, "softcall", FULL_PRECISION, detail=beside_torch(name, how))
            self.bench.book.add(key, figures)
            self.bench.say(
                f"{key.detail}: {len(rows) - len(other)} of {len(rows)} equal, gaps {sorted(other)}"
            )

    def _gap(self, row: Row, found: Written) -> float | None:
        """How far PyTorch's best two logits are apart at the first token that differs; None if none does."""
        answer = self.answers[row]
        ids = answer.ids[:-1] if answer.ids[-1] == END else answer.ids
        expected = [self._tokenizer.decode([id_], skip_special_tokens=False) for id_ in ids]
        text = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        pairs = zip(expected, found.tokens, strict=False)
        first = next((place for place, (a, b) in enumerate(pairs) if a != b), None)
        if first is None and len(expected) == len(found.tokens):
            same = text.rstrip(NOT_A_CHARACTER) == found.text.rstrip(NOT_A_CHARACTER)
            return None if same else float("inf")
        return answer.gaps[min(len(expected), len(found.tokens)) if first is None else first]

    @cached_property
    def _tokenizer(self):
        return self.bench.workload.base.tokenizer()


def run(bench: Bench) -> None:
    """Let PyTorch answer, which is kept; then servers of each variant."""
    data = E2e.find(bench, SCENARIO)
    store = new_store(bench, SCENARIO)
    if data is not None:
        data.push(store)
    expected = _Expected(bench, _torch(bench, data))
    inputs = [] if data is None else list(data.references)[: QUICK_ROWS if bench.quick else None]
    rows = [Row(name, text) for name in (e2e.SOFT, e2e.KV) for text in inputs]
    settings = {"SOFTCALL_BASE_SERVE_AS": CHAT}
    for variant in (FULL_PRECISION, *compact(bench)):
        with serving(f"file:{store}", variant, f"{SCENARIO}-{variant}", **settings) as server:
            found = _answers(bench, server, list(dict.fromkeys([*rows, *expected.answers])))
            if variant == FULL_PRECISION:
                expected.compare(found, MIXED)
                bench.say(f"{len(expected.answers)} answers alone")
                expected.compare({row: row.ask(server) for row in expected.answers}, ALONE)
        if data is not None:
            _judge(bench, variant, data, inputs, found)


def _torch(bench: Bench, data: E2e | None) -> dict[Row, TorchAnswer]:
    answers: dict[Row, TorchAnswer] = {}
    if data is not None:
        texts = list(data.references)[: QUICK_ROWS if bench.quick else INPUTS]
        for name in (e2e.SOFT, e2e.KV):
            written = torch_answers.behind(bench, data.adapters / name, texts)
            answers |= {Row(name, text): each for text, each in zip(texts, written, strict=True)}
    sentences = bench.workload.sentences
    asked = [text.text for text in sentences[:: len(sentences) // CHATS]][
        : QUICK_ROWS if bench.quick else CHATS
    ]
    written = torch_answers.chats(bench, asked, CHAT_TOKENS)
    return answers | {Row(CHAT, text): each for text, each in zip(asked, written, strict=True)}


def _answers(bench: Bench, server: Server, rows: Sequence[Row]) -> dict[Row, Written]:
    """Let the server write, `STREAMS` at a time, in an order that mixes tasks and lengths."""
    order = np.random.default_rng(SEED).permutation(len(rows))
    mixed = [rows[place] for place in order]
    bench.say(f"{len(rows)} answers, {STREAMS} at a time")
    with _classifying(bench, server), ThreadPoolExecutor(STREAMS) as pool:
        return dict(zip(mixed, pool.map(lambda row: row.ask(server), mixed), strict=True))


@contextlib.contextmanager
def _classifying(bench: Bench, server: Server) -> Iterator[None]:
    """`CLASSIFYING` callers that classify sentences for as long as the block lasts."""
    over, texts = threading.Event(), bench.workload.sentences

    def classify(first: int) -> None:
        for text in texts[first::CLASSIFYING]:
            if over.is_set():
                return
            server.require(TASK, text.text)

    with ThreadPoolExecutor(CLASSIFYING) as pool:
        calls = [pool.submit(classify, first) for first in range(CLASSIFYING)]
        try:
            yield
        finally:
            over.set()
        for call in calls:
            call.result()


def _judge(
    bench: Bench, variant: str, data: E2e, inputs: Sequence[str], found: Mapping[Row, Written]
) -> None:
    most = max(len(data.references[text]) for text in inputs)
    references = [
        [(data.references[text] + [None] * most)[number] for text in inputs] for number in range(most)
    ]
    for name in (e2e.SOFT, e2e.KV):
        written = [found[Row(name, text)].text.strip() for text in inputs]
        score = BLEU().corpus_score(written, references).score
        figures = {"bleu": score, "inputs": len(inputs)}
        bench.book.add(Key(SCENARIO, "softcall", variant, detail=bleu(name)), figures)
        bench.say(f"{variant}, {bleu(name)}: {score:.2f}")
