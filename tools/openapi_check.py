"""Holds the server to its OpenAPI document, and the document to the server, by Schemathesis.

make test-openapi

Requests that the document allows are answered as it says; those that it forbids are refused; nothing is a
5xx. The server has a task of each kind, folders for jobs, and an API key.
"""

import argparse
import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local_server import ROOT, LocalServer

TINY = ROOT / "src/test/resources/tiny"
FOLDER = ROOT / "build/openapi"
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
KEY = "key-of-schemathesis"


def main() -> None:
    """Ask for what the document allows and forbids; ends as Schemathesis does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-examples", type=int, help="of an operation")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        inbox, results = Path(folder, "inbox"), Path(folder, "results")
        for each in (inbox, results):
            each.mkdir()
        settings = _settings(inbox, results) | {"SOFTCALL_BASE_CACHE_DIR": str(Path(folder, "packed"))}
        with LocalServer(TINY / "tasks", FOLDER / "server.log", settings=settings) as server:
            document = FOLDER / "openapi.json"
            document.write_bytes(_read(server.port, "/q/openapi?format=json"))
            command = [SCHEMATHESIS, "--no-color", "--config-file", ROOT / "tools/schemathesis.toml"]
            command += ["run", document, "--url", server.url, "--seed", str(options.seed)]
            if options.max_examples:
                command += ["--max-examples", str(options.max_examples)]
            ended = subprocess.run(command, env=os.environ | {"SOFTCALL_API_KEY": KEY}, cwd=FOLDER)
    sys.exit(ended.returncode)


def _settings(inbox: Path, results: Path) -> dict[str, str]:
    return {
        "SOFTCALL_BASE_DIR": str(TINY / "base"),
        "SOFTCALL_BASE_VARIANT": "fp32",
        "SOFTCALL_HTTP_KEYS_A_SHA256": hashlib.sha256(KEY.encode()).hexdigest(),
        "SOFTCALL_HTTP_KEYS_A_ADMIN": "true",
        "SOFTCALL_JOBS_OUTPUT": f"file:{results}",
        "SOFTCALL_JOBS_BUCKETS": f"file:{inbox},file:{results}",
        "SOFTCALL_JOBS_RULES_ALL_KEYS": "*",
        "SOFTCALL_JOBS_RULES_ALL_TASK": "sentiment",
    }


def _read(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"authorization": f"Bearer {KEY}"})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise RuntimeError(f"GET {path}: {response.status} {content.decode()}")
    return content


if __name__ == "__main__":
    main()
