"""Processes that share a run learn what one learns, and a kill of all of them loses nothing."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from softcall.artifact.artifact import Artifact
from softcall.training.loop import checkpoint
from softcall.training.settings.config import TrainConfig
from softcall.training.train import train

# Float32 sums in another order: the same curves to this share of each value, over all steps.
TOLERANCE = 1e-3
LAUNCHES = {
    "cpu": ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    "cuda": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--mixed_precision", "no"],
}
# A sweep of two soft prompts, dropped to one after 16 steps, and a KV prompt. 221 rows: the last batch of an
# epoch, the 12th, has one row, so that one process has nothing to compute and takes the step all the same.
OPTIONS = {"steps": 40, "eval_every": 10, "batch_size": 20, "tokens": 8, "patience": 0}
OPTIONS |= {"prompt": "auto", "sweep": 3}
TAGS = ("train/loss", "train/gradient_norm", "dev/loss", "dev/accuracy")


@pytest.fixture
def shared(tmp_path, tiny_folder, toy_rows):
    """The options of a run by its name."""
    files = {"data": toy_rows[:221], "dev": toy_rows[221:]}
    for name, rows in files.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def options(name, device):
        own = {"out": tmp_path / f"{name}.safetensors", "run_dir": tmp_path / name, "device": device}
        return (
            {name: tmp_path / f"{name}.jsonl" for name in files} | {"base": str(tiny_folder)} | own | OPTIONS
        )

    return options


def launch(options):
    """Start two processes."""
    options = dict(options)
    command = [sys.executable, "-m", *LAUNCHES[options["device"]], "-m", "softcall", "train"]
    command += [str(options.pop("data"))]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def told(process):
    """What a run says that ends well."""
    _, text = process.communicate()
    assert process.returncode == 0, text
    return text


def kill(process):
    """End a launcher and all that it started, with no warning."""
    workers = psutil.Process(process.pid).children(recursive=True)
    for each in (process, *workers):
        each.kill()
    process.communicate()
    psutil.wait_procs(workers)


def curves(folder):
    found = {}
    for candidate in ("candidate-1", "candidate-2", "candidate-3"):
        accumulator = EventAccumulator(str(folder / candidate))
        accumulator.Reload()
        for tag in TAGS:
            found |= {(candidate, tag, event.step): event.value for event in accumulator.Scalars(tag)}
    return found


on_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_gpus)])
def test_two_processes_give_the_curves_of_one_and_survive_a_kill(shared, device):
    one, two, cut = (shared(name, device) for name in ("one", "two", "cut"))
    alone = train(TrainConfig(**one), Console(quiet=True))
    text = told(launch(two))
    assert "2 processes" in text and text.count("trained in") == 1
    assert curves(two["run_dir"]) == pytest.approx(curves(one["run_dir"]), rel=TOLERANCE)
    together = Artifact.from_bytes(two["out"].read_bytes())
    np.testing.assert_allclose(together.prompt, alone.prompt, atol=TOLERANCE)
    assert (alone.training["processes"], together.training["processes"]) == (1, 2)

    process = launch(cut)
    deadline = time.monotonic() + 120
    while not (cut["run_dir"] / checkpoint.FILE).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    kill(process)
    assert not cut["out"].exists()
    step = int(told(launch(cut)).split("going on from step ")[1].split(",")[0])
    assert 10 <= step < OPTIONS["steps"]
    assert cut["out"].read_bytes() == two["out"].read_bytes()
    assert curves(cut["run_dir"]) == curves(two["run_dir"])
