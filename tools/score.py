"""Scores the shipped tasks on their whole test sets over HTTP, with `softcall eval --server`."""

import json
import subprocess
import sys
from pathlib import Path

from local_server import ROOT, LocalServer, ServerFailed

EXAMPLES = ROOT / "training-exporter/examples"
SOFTCALL = Path(sys.executable).with_name("softcall")


def score(server: LocalServer, task: str, test: str, *options: str) -> dict:
    """Return what `softcall eval --json` says of a task."""
    command = [SOFTCALL, "eval", task, EXAMPLES / test, "--server", server.url, "--json", *options]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    """Print each task's accuracy, and of spam how much is found and how much is called so wrongly."""
    with LocalServer(ROOT / "tasks", ROOT / "build/score/server.log") as server:
        print("banking77, 3,080 test sentences, 77 intents ...", flush=True)
        _print(score(server, "banking77", "banking77/test.jsonl"))
        print("spamassassin, 588 test e-mails, cut to 256 tokens ...", flush=True)
        spam = score(server, "spamassassin", "spamassassin/test.jsonl.gz", "--max-text-tokens", "256")
        _print(spam)
        (label,) = (label for label in spam["per_label"] if label["label"] == "spam")
        print(f"  spam       precision {label['precision']:.4f}, recall {label['recall']:.4f}")


def _print(result: dict) -> None:
    low, high = result["accuracy_interval_95"]
    interval = f"95 % interval {low:.4f} to {high:.4f}"
    print(f"  accuracy   {result['accuracy']:.4f} ({interval}), {result['rows']} rows")
    print(f"  macro-F1   {result['macro_f1']:.4f}")
    print(f"  time       {result['ms_per_text']:.1f} ms per text", flush=True)


if __name__ == "__main__":
    try:
        main()
    except ServerFailed as failure:
        sys.exit(f"score: {failure}")
    except subprocess.CalledProcessError as failure:
        sys.exit(f"score: `{' '.join(map(str, failure.cmd))}` ended with status {failure.returncode}")
    except KeyboardInterrupt:
        sys.exit("score: interrupted; the server is stopped")
