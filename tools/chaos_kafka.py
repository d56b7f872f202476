"""Two processes of one consumer group, of which one is killed half way."""

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaos_jobs import WORDS, settings
from confluent_kafka import Consumer, Producer, TopicPartition
from local_server import ROOT, LocalServer
from services import Storage, kafka

REQUESTS, ANSWERS, DEAD_LETTERS = "softcall.classify", "softcall.classified", "softcall.dead-letters"
PARTITIONS = 4
BAD_EACH = 500
KEYS = 101
SILENCE_LIMIT_S = 60
SESSION = {"KAFKA_SESSION_TIMEOUT_MS": "6000", "KAFKA_HEARTBEAT_INTERVAL_MS": "1000"}


@dataclass
class Outcomes:
    """Answers and dead letters by the id of their request, first ones first; how many came again."""

    first: dict[str, dict] = field(default_factory=dict)
    order: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    repeated: int = 0
    contradictions: int = 0

    def add(self, request: str, partition: int, outcome: dict) -> None:
        """Write one down; the same request must come out the same each time."""
        if request not in self.first:
            self.first[request] = outcome
            self.order[partition].append(request)
            return
        self.repeated += 1
        self.contradictions += self.first[request] != outcome


def run(storage: Storage, folder: Path, messages: int, rng: random.Random, bar: Callable) -> None:
    """Send messages, kill one of two servers when half are answered, and count what became of each."""
    with kafka(folder / "kafka", (REQUESTS, ANSWERS, DEAD_LETTERS), PARTITIONS) as address:
        servers = {
            **settings(storage, folder / "packed"),
            "KAFKA_BOOTSTRAP_SERVERS": address,
            **SESSION,
        }
        began = time.monotonic()
        asked = _send(address, messages, rng)
        first = LocalServer(ROOT, folder / "kafka-first.log", settings=servers)
        try:
            with LocalServer(ROOT, folder / "kafka-second.log", settings=servers):
                found = _read(address, messages, first.kill)
        finally:
            first.kill()
        seconds = time.monotonic() - began
    outcomes = found.first.keys()
    wrong = sum(expected != _kind(found.first.get(request)) for request, (_, expected) in asked.items())
    wrong += len(outcomes - asked.keys()) + found.contradictions
    bar(
        "kafka: messages without one final result",
        wrong,
        f"{messages} messages, one of two servers killed, {found.repeated} results twice, {seconds:.0f} s",
    )
    sent: Mapping[int, list[str]] = defaultdict(list)
    for request, (partition, expected) in asked.items():
        if expected == "answer":
            sent[partition].append(request)
    bar("kafka: partitions whose answers are not in order", sum(sent[p] != found.order[p] for p in sent), "")


def _kind(outcome: dict | None) -> str:
    return "none" if outcome is None else "dead letter" if "code" in outcome else "answer"


def _send(address: str, messages: int, rng: random.Random) -> dict[str, tuple[int, str]]:
    """The partition of each id, in the order of the partitions, and what shall become of it."""
    asked: dict[str, tuple[int, str]] = {}
    producer = Producer(
        {"bootstrap.servers": address, "acks": "all", "enable.idempotence": True, "log_level": 0}
    )
    for number in range(messages):
        bad = number % BAD_EACH == BAD_EACH - 1
        request = {
            "id": str(number),
            "model": "no/such/task" if bad else rng.choice(("sentiment", "acme/intent")),
            "input": " ".join(rng.choices(WORDS, k=rng.randint(1, 12))),
        }

        def written(error, message, number=number, bad=bad) -> None:
            if error is not None:
                raise SystemExit(f"chaos: the broker refuses a request: {error}")
            asked[str(number)] = (message.partition(), "dead letter" if bad else "answer")

        while True:
            try:
                key = f"key {number % KEYS}"
                producer.produce(REQUESTS, json.dumps(request), key, on_delivery=written)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()
    return asked


def _read(address: str, messages: int, at_half: Callable[[], None]) -> Outcomes:
    """Read results until every message has one and nothing more comes; `at_half` is called once."""
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "chaos", "enable.auto.commit": False, "log_level": 0}
    )
    topics = (ANSWERS, DEAD_LETTERS)
    consumer.assign([TopicPartition(topic, p, 0) for topic in topics for p in range(PARTITIONS)])
    found, told, halved = Outcomes(), time.monotonic(), False
    quiet_s = 10.0  # what was under way at the kill comes again within that time
    while time.monotonic() - told < (quiet_s if len(found.first) >= messages else SILENCE_LIMIT_S):
        for message in consumer.consume(1000, 0.5):
            if message.error():
                raise SystemExit(f"chaos: {message.error()}")
            told = time.monotonic()
            _add(found, message)
        if not halved and len(found.first) >= messages // 2:
            halved = True
            at_half()
    consumer.close()
    return found


def _add(found: Outcomes, message) -> None:
    headers = dict(message.headers() or [])
    body = json.loads(message.value())
    if message.topic() == DEAD_LETTERS:
        found.add(body["id"], -1, {"code": headers["dead-letter-code"].decode()})
        return
    # Without the score, whose last digits may differ between processes.
    item = body["data"][0]
    outcome = {"id": headers["ce_id"].decode(), "version": body["version"], "label": item["label"]}
    found.add(body["id"], message.partition(), outcome)
