"""Processes that share a run learn what one learns, and a kill of all of them loses nothing."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from softcall import train_checkpoint
from softcall.artifact import Artifact

# Float32 sums in another order: the same curve to this share of a loss, over all steps.
TOLERANCE = 1e-3


@pytest.fixture
def data(tmp_path, toy_rows):
    """240 rows, of which 192 train: 13 batches of 15, the last of an epoch of 12."""
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in toy_rows))
    return file


LAUNCHES = {
    "cpu": ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    "cuda": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--mixed_precision", "no"],
}
on_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


def command(data, tiny_folder, name, processes, device="cpu", **more):
    options = {"steps": 80, "eval-every": 10, "batch-size": 15, "tokens": 8, "patience": 0, "device": device}
    options |= {"dev-fraction": 0.2, "base": tiny_folder, "run-dir": data.parent / name}
    options |= {"out": data.parent / f"{name}.safetensors"} | more
    flags = [text for option, value in options.items() for text in (f"--{option}", str(value))]
    launch = ["-m", *LAUNCHES[device]] if processes == 2 else []
    return [sys.executable, *launch, "-m", "softcall", "train", str(data), *flags]


def run(command):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def curve(folder, tag="train/loss"):
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {event.step: event.value for event in accumulator.Scalars(tag)}


def kill(process):
    """End a launcher and all that it started, with no warning."""
    workers = psutil.Process(process.pid).children(recursive=True)
    for each in (process, *workers):
        each.kill()
    process.wait()
    psutil.wait_procs(workers)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_gpus)])
def test_two_processes_give_the_curve_of_one_and_survive_a_kill(data, tiny_folder, device):
    folder = data.parent
    run(command(data, tiny_folder, "one", 1, device))
    told = run(command(data, tiny_folder, "two", 2, device))
    assert "2 processes" in told and told.count("trained in") == 1

    alone, shared = (curve(folder / name) for name in ("one", "two"))
    assert list(alone) == list(shared) == [*range(10, 81, 10)]
    assert list(shared.values()) == pytest.approx(list(alone.values()), rel=TOLERANCE)
    for tag in ("dev/loss", "dev/accuracy", "train/gradient_norm"):
        assert curve(folder / "two", tag) == pytest.approx(curve(folder / "one", tag), rel=10 * TOLERANCE)
    one, two = (Artifact.from_bytes((folder / f"{name}.safetensors").read_bytes()) for name in ("one", "two"))
    torch.testing.assert_close(torch.tensor(two.prompt), torch.tensor(one.prompt), atol=1e-3, rtol=0)
    assert two.training["processes"] == 2

    cut = command(data, tiny_folder, "cut", 2, device)
    process = subprocess.Popen(
        cut, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (folder / "cut" / train_checkpoint.FILE).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    kill(process)
    assert not (folder / "cut.safetensors").exists()
    step = int(run(cut).split("going on from step ")[1].split(",")[0])
    assert 10 <= step < 80
    assert (folder / "cut.safetensors").read_bytes() == (folder / "two.safetensors").read_bytes()
    assert curve(folder / "cut") == shared


def test_more_processes_than_rows_in_a_batch_sweep_together(data, tiny_folder):
    """Batches of one row: one of two processes has nothing to compute, and takes every step all the same."""
    more = {"sweep": 2, "batch-size": 1, "steps": 20}
    run(command(data, tiny_folder, "one", 1, **more))
    run(command(data, tiny_folder, "two", 2, **more))
    for candidate in ("candidate-1", "candidate-2"):
        alone, shared = (curve(data.parent / name / candidate) for name in ("one", "two"))
        assert shared == pytest.approx(alone, rel=TOLERANCE)
