"""The whole event path on this machine: drop a file, and see its results.

    make events                   goes on until Ctrl-C
    make events EVENTS=--once     ends after the example

An S3 server (versitygw) tells Kafka of each file. Softcall reads that topic, classifies the file's rows,
writes the results into the bucket, and tells another topic. Texts can be sent to Kafka as well.
"""

import argparse
import contextlib
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer
from local_server import ROOT, LocalServer
from rich.console import Console
from services import Storage, kafka, versitygw

FOLDER = ROOT / "build/events"
INBOX, RESULTS = FOLDER / "inbox", FOLDER / "results"
EXAMPLE = ROOT / "training-exporter/examples/banking77/test.jsonl"
BUCKET = "softcall"
REQUESTS, ANSWERS, FILES, JOBS, DEAD_LETTERS = TOPICS = (
    "softcall.classify",
    "softcall.classified",
    "softcall.files",
    "softcall.jobs",
    "softcall.dead-letters",
)
ROWS, SHOWN = 200, 5
LIMIT_S = 120
SETTLED_S = 1  # a file that has not changed for so long is complete

console = Console(highlight=False, width=None if sys.stdout.isatty() else 132)


def main() -> None:
    """Start everything, show an example, then wait for files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="end after the example")
    once = parser.parse_args().once
    shutil.rmtree(FOLDER, ignore_errors=True)
    for folder in (INBOX, RESULTS):
        folder.mkdir(parents=True)
    with kafka(FOLDER / "kafka", TOPICS, partitions=2) as address:
        console.print(f"Kafka      {address}, topics {', '.join(TOPICS)}")
        with (
            storage(address) as bucket,
            LocalServer(ROOT, FOLDER / "server.log", settings=settings(bucket, address)) as server,
        ):
            console.print(f"Softcall   {server.url}, log {(FOLDER / 'server.log').relative_to(ROOT)}\n")
            with told(address) as events:
                show_file(bucket, events)
                show_texts(address, events)
                say_what_next(bucket, address)
                if not once:
                    watch(bucket, events)


@contextlib.contextmanager
def storage(address: str) -> Iterator[Storage]:
    """The bucket, with the shipped tasks in it."""
    with versitygw(FOLDER / "s3", BUCKET, FOLDER / "s3.log", address, FILES) as bucket:
        bucket.put_tasks(ROOT / "tasks")
        console.print(f"S3         {bucket.url}, bucket {BUCKET}: prompts/, in/, results/; tells {FILES}")
        yield bucket


def settings(bucket: Storage, address: str) -> dict[str, str]:
    """A server that reads files and texts from Kafka."""
    return {
        **bucket.settings,
        "SOFTCALL_STORE_URI": f"s3://{BUCKET}/prompts",
        "SOFTCALL_JOBS_OUTPUT": f"s3://{BUCKET}/results",
        "SOFTCALL_JOBS_BUCKETS": BUCKET,
        "SOFTCALL_JOBS_KEYS": "in/*",
        "SOFTCALL_JOBS_RULES_EXAMPLE_KEYS": "in/*",
        "SOFTCALL_JOBS_RULES_EXAMPLE_TASK": "banking77",
        "KAFKA_BOOTSTRAP_SERVERS": address,
        "SOFTCALL_KAFKA_FILES": FILES,
    }


@contextlib.contextmanager
def told(address: str) -> Iterator[Consumer]:
    """A consumer of what Softcall tells."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "events-demo",
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    consumer.subscribe([JOBS, ANSWERS, DEAD_LETTERS])
    try:
        yield consumer
    finally:
        consumer.close()


def show_file(bucket: Storage, events: Consumer) -> None:
    """Drop some rows of a test set into the bucket, and show what comes back."""
    console.rule("1. A file lands in the bucket", align="left")
    rows = [json.loads(line) for line in EXAMPLE.read_text().splitlines()[:: 3080 // ROWS][:ROWS]]
    lines = [json.dumps({"id": number, "text": row["text"]}) for number, row in enumerate(rows)]
    began = time.perf_counter()
    bucket.put("in/example.jsonl", ("\n".join(lines) + "\nnot a row\n").encode())
    console.print(
        f"in/example.jsonl: {ROWS} texts of banking77's test set, and a bad line; a rule names the task"
    )
    report = show_job(bucket, next_message(events))
    console.print(f"{time.perf_counter() - began:.1f} s after the file")
    results = read_results(bucket, report)
    for result in results[:SHOWN]:
        label, text = result["label"], rows[result["id"]]["text"]
        console.print(f"  {label:32} {result['score']:.3f}  {text[:80]}", markup=False)
    console.print(f"  ... and the bad line: {results[-1]['error']}", markup=False)
    right = sum(row["label"] == result["label"] for row, result in zip(rows, results, strict=False))
    console.print(f"{right} of {ROWS} labels are those that people gave\n")


def show_texts(address: str, events: Consumer) -> None:
    """Send texts to Kafka, and show what comes back."""
    console.rule("2. Texts arrive in Kafka", align="left")
    producer = Producer({"bootstrap.servers": address, "log_level": 0})
    texts = ("My card still has not arrived", "How do I change my PIN?", "I was charged twice for one coffee")
    for number, text in enumerate(texts):
        request = {"id": f"text-{number}", "model": "banking77", "input": text}
        producer.produce(REQUESTS, json.dumps(request), key="customer 7")
    producer.flush()
    for text in texts:
        answer = json.loads(next_message(events).value())
        item = answer["data"][0]
        console.print(f"  {answer['id']}: {item['label']:32} {item['score']:.3f}  {text}", markup=False)
    console.print()


def next_message(events: Consumer, limit_s: float = LIMIT_S) -> Message:
    """The next thing that is told; ends the program when nothing comes."""
    message = events.poll(limit_s)
    if message is None or message.error():
        sys.exit(f"events: nothing was told within {limit_s} s; the logs are in {FOLDER}")
    return message


def show_job(bucket: Storage, message: Message) -> dict:
    """Print how a job ended, and fetch its results."""
    headers = {name: value.decode() for name, value in message.headers()}
    report = json.loads(message.value())
    console.print(
        f"{message.topic()} is told [bold]{headers['ce_type']}[/], subject {headers['ce_subject']}:"
    )
    told = {name: report[name] for name in ("rows", "errors", "tasks", "output", "error") if name in report}
    console.print(f"  {json.dumps(told)}", markup=False)
    if "error" not in report:
        file = RESULTS / f"{Path(report['key']).name}.results.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in read_results(bucket, report)))
        console.print(f"results: {file.relative_to(ROOT)}", markup=False)
    return report


def read_results(bucket: Storage, report: dict) -> list[dict]:
    """All rows of a job's parts, in order."""
    folder = f"results/{report['job']}/"
    manifest = json.loads(bucket.get(folder + "_SUCCESS"))
    return [
        json.loads(line)
        for part in manifest["parts"]
        for line in bucket.get(folder + part["name"]).splitlines()
    ]


def say_what_next(bucket: Storage, address: str) -> None:
    """Name ways to go on."""
    console.rule("Now yours", align="left")
    console.print(
        f"Copy files into {INBOX.relative_to(ROOT)}/: .jsonl, .csv, .parquet, also .gz and .zst. "
        "A row has a text, and may have\nan id and a task (banking77, spamassassin); "
        f"without one a row is banking77's. Results come to {RESULTS.relative_to(ROOT)}/.\n\n"
        "The same with AWS's command line:\n"
        f"  AWS_ACCESS_KEY_ID={bucket.settings['AWS_ACCESS_KEY_ID']} "
        f"AWS_SECRET_ACCESS_KEY={bucket.settings['AWS_SECRET_ACCESS_KEY']} \\\n"
        f"  aws --endpoint-url {bucket.url} s3 cp FILE s3://{BUCKET}/in/\n\n"
        f"Kafka's own tools reach the broker at {address}.",
        markup=False,
    )


def watch(bucket: Storage, events: Consumer) -> None:
    """Store what lands in the inbox, and print what is told, until Ctrl-C."""
    console.print("\nWaiting; Ctrl-C ends everything.\n")
    stored: dict[Path, float] = {}
    while True:
        for file in sorted(INBOX.iterdir()):
            changed = file.stat().st_mtime
            if file.is_file() and stored.get(file) != changed and time.time() - changed > SETTLED_S:
                console.print(f"{file.name} is stored as in/{file.name}", markup=False)
                bucket.client.upload_file(str(file), BUCKET, f"in/{file.name}")
                stored[file] = changed
        message = events.poll(0.5)
        if message is None or message.error():
            continue
        if message.topic() == JOBS:
            show_job(bucket, message)
        else:
            console.print(f"{message.topic()}: {message.value().decode()[:500]}", markup=False)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("events: terminated; everything is stopped"))
    try:
        main()
    except KeyboardInterrupt:
        print("\nevents: everything is stopped")
