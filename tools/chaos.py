"""Kills servers while they work, fails their store, and holds the results to those of a quiet run.

    build/venv-events/bin/python tools/chaos.py [--kills 3] [--rows 12000] [--messages 5000] [--seed 1]

Real servers all around: packaged ones with the tiny base of the tests, S3, Kafka. Each bar is a line: its
name, the figure, what is wanted, and whether it holds. `make test-jobs` runs it small, `make chaos` large.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import chaos_jobs
import chaos_kafka
from bars import Bars
from chaos_jobs import BUCKET, TINY, Chaos
from local_server import ROOT
from services import s3proxy


def main() -> None:
    """Run all bars; status 1 when one falls short."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bars, rng = Bars(), random.Random(options.seed)
    logs = ROOT / "build/chaos"
    with tempfile.TemporaryDirectory() as folder, s3proxy(Path(folder, "s3"), BUCKET) as storage:
        storage.put_tasks(TINY / "tasks")
        settings = chaos_jobs.settings(storage, Path(folder, "packed"))
        chaos_jobs.run(Chaos(storage, settings, rng, logs), options.kills, options.rows, bars)
        chaos_kafka.run(storage, Path(folder), options.messages, rng, bars)
    sys.exit(0 if bars.hold else 1)


if __name__ == "__main__":
    main()
