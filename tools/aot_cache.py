"""Trains the packaged server's AOT cache by a run of its real endpoints, and checks that the cache is used.

The cache (JEP 483, 514, 515) holds the classes that the run loaded and linked, and what the JVM learned of
their methods. The JVM drops a cache without a word when a jar, its time or an option of Java is another: so
one start has to succeed where using the cache is compulsory. Others are broken off by SIGTERM. Needs nothing
but the standard library.
"""

import http.client
import json
import math
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from local_server import APP, ROOT, START_LIMIT_S, STOPPED_BY_SIGTERM, LocalServer, ServerFailed, launch

CACHE = APP / "server.aot"
LOGS = ROOT / "build/aot"
ROUNDS = 3  # from the second on, calls find their prompt in the caches
WRITE_LIMIT_S = 120  # the JVM writes the cache when the run has ended
BREAK_OFF_S = (
    0.1,
    0.3,
    0.5,
    0.8,
)  # after the start of the process: before Java, in Quarkus, as the base is opened
TEXTS = ["My card still has not arrived", "How do I change my PIN?"]
OBJECT = "adapter_model.safetensors"
READY = "ready-prefix"
EVENT_HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/training",
    "ce-type": "io.softcall.classify",
}


def exercise(server: LocalServer, tasks: Iterable[str]) -> None:
    """Call every endpoint, for each of these tasks; `ServerFailed` unless each answers 200."""
    for task in tasks:
        one = {"model": task, "input": TEXTS[0]}
        many = {"model": task, "input": TEXTS, "scores": True, "truncate_prompt_tokens": -1}
        event = {"specversion": "1.0", "id": "2", "source": "/training", "type": "io.softcall.classify"}
        structured = {"content-type": "application/cloudevents+json"}
        _expect_ok(server, "POST", "/v1/classify", one)
        _expect_ok(server, "POST", "/classify", many)
        _expect_ok(server, "POST", "/classify-text", many)
        _expect_ok(server, "POST", "/", one, EVENT_HEADERS)
        _expect_ok(server, "POST", "/", event | {"data": one}, structured)
        _expect_ok(server, "GET", f"/v1/models/{task}")
    for path in ("/v1/models", "/q/health", "/q/health/live", "/q/health/ready", "/q/metrics", "/q/openapi"):
        _expect_ok(server, "GET", path)


def _expect_ok(
    server: LocalServer, method: str, path: str, body: dict | None = None, headers: dict | None = None
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    payload = None if body is None else json.dumps(body)
    try:
        connection.request(method, path, payload, {"content-type": "application/json"} | (headers or {}))
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise ServerFailed(f"{method} {path} was answered {response.status}: {answer[:300]!r}")


def _with_ready_prefix(artifact: bytes, variant: str) -> bytes:
    """The artifact with a ready prefix for `variant`: zeros, for training needs the way, not the answer."""
    base = json.loads((ROOT / "build/base/base.json").read_text())
    start = 8 + int.from_bytes(artifact[:8], "little")
    header, data = json.loads(artifact[8:start]), artifact[start:]
    shape = [base["num_hidden_layers"], 2, base["num_key_value_heads"]]
    shape += [header["prompt_embeddings"]["shape"][0], base["head_dim"]]
    prefix = bytes(2 * math.prod(shape))
    offsets = [len(data), len(data) + len(prefix)]
    header[f"prefix.{variant}"] = {"dtype": "F16", "shape": shape, "data_offsets": offsets}
    about = json.loads(header["__metadata__"]["softcall"])
    about["prefix_layouts"] = {variant: base["variants"][variant]["kv_layout"]}
    header["__metadata__"]["softcall"] = json.dumps(about)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data + prefix


def train() -> None:
    """Train on the shipped tasks, and on one with a ready prefix."""
    with tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder) / "tasks"
        shutil.copytree(ROOT / "tasks", tasks)
        ready = tasks / READY / OBJECT
        ready.parent.mkdir()
        ready.write_bytes(_with_ready_prefix((tasks / "banking77" / OBJECT).read_bytes(), "int8"))
        _train(tasks)


def _train(tasks: Path) -> None:
    def start(options: list[str]) -> LocalServer:
        return LocalServer(tasks, LOGS / "training.log", options, stop_limit_s=WRITE_LIMIT_S)

    record(CACHE, start, ("banking77", "spamassassin", READY))


def record(cache: Path, start: Callable[[list[str]], LocalServer], tasks: Iterable[str]) -> None:
    """Run a server, started with the given options of Java, so that its JVM writes `cache` at the end."""
    cache.unlink(missing_ok=True)
    # Written elsewhere first: a run that breaks off leaves no half of a cache.
    unfinished = cache.with_suffix(".unfinished")
    with start([f"-XX:AOTCacheOutput={unfinished}", "-Xlog:aot=error"]) as server:
        for _ in range(ROUNDS):
            exercise(server, tasks)
    if not unfinished.exists():
        raise ServerFailed(f"the JVM wrote no cache {cache}; see the server's log")
    unfinished.rename(cache)


def check() -> float:
    """Start the server as users do, but with the cache compulsory; return the seconds until its first answer.

    `ServerFailed` also when it copies native libraries out of their jars.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = ["-XX:AOTMode=on", f"-Djava.io.tmpdir={folder}", f"-Duser.home={folder}"]
        began = time.monotonic()
        with LocalServer(ROOT / "tasks", LOGS / "check.log", options) as server:
            answer = server.classify("banking77", TEXTS[0])
            took = time.monotonic() - began
            copies = [str(file) for file in Path(folder).rglob("*") if file.suffix in (".so", ".dylib")]
        if answer.status != 200:
            raise ServerFailed(f"the server answered {answer.status}: {answer.body}")
    if copies and sys.platform == "linux":
        raise ServerFailed(f"native libraries were copied at start: {', '.join(copies)}")
    return took


def break_off(seconds: float) -> None:
    """Stop a server with SIGTERM while it starts; `ServerFailed` unless it ends in good order."""
    with tempfile.TemporaryDirectory() as folder:
        crash, log = Path(folder) / "crash.log", LOGS / "broken-off.log"
        process = launch(ROOT / "tasks", log, [f"-XX:ErrorFile={crash}"])
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(START_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        # Until Java has its own handler, SIGTERM ends the process as it ends any. On a slow machine it may
        # also arrive while the virtual machine initializes itself, before any code of ours.
        expected = (STOPPED_BY_SIGTERM, -signal.SIGTERM)
        early = status == 1 and "during initialization of VM" in log.read_text(errors="replace")
        if not (status in expected or early) or crash.exists():
            raise ServerFailed(
                f"a server stopped {seconds} s after its start ended with status {status},"
                f" expected {STOPPED_BY_SIGTERM}; its log is {log}"
            )


if __name__ == "__main__":
    try:
        train()
        seconds = check()
        for moment in BREAK_OFF_S:
            break_off(moment)
    except ServerFailed as failure:
        CACHE.unlink(missing_ok=True)
        sys.exit(f"aot-cache: {failure}")
    size = CACHE.stat().st_size / 1e6
    print(f"{CACHE.relative_to(ROOT)}: {size:.0f} MB; with it the first answer came after {seconds:.2f} s")
