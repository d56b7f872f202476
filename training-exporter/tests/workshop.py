"""Training runs of tests: in this process, and in one that is killed."""

import io
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from softcall.artifact.artifact import Artifact
from softcall.training.loop import checkpoint
from softcall.training.settings.config import TrainConfig
from softcall.training.train import train

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
CHECKPOINT_LIMIT_S = 120


def train_in(
    folder: Path, base: Path, data: Path, name: str, width: int = 150, **options
) -> tuple[Artifact, str]:
    """Train on `data`; give the artifact `name` in `folder`, and what was told on a console of this width."""
    told = io.StringIO()
    config = TrainConfig(
        data=data,
        out=folder / f"{name}.safetensors",
        base=str(base),
        run_dir=folder / f"{name}.run",
        **options,
    )
    return train(config, Console(file=told, width=width)), told.getvalue()


def kill_at_checkpoint(command: Sequence[str], run_folder: Path) -> None:
    """Start a command, and kill it as soon as it has written a checkpoint."""
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    written = run_folder / checkpoint.FILE
    deadline = time.monotonic() + CHECKPOINT_LIMIT_S
    while not written.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
