"""Trackers get the curves of a run through transformers' integrations; both write to a local folder here."""

import json
import os
import subprocess
import sys

import pytest

from softcall.errors import SoftcallError
from softcall.train_config import Tracker
from softcall.train_curves import Curves

pytest.importorskip("mlflow")
pytest.importorskip("wandb")

SCRIPT = """
import sys
from pathlib import Path
from rich.console import Console
from softcall.train import train
from softcall.train_config import TrainConfig

base, tracker, sweep = sys.argv[1:]
train(TrainConfig(
    data=Path("train.jsonl"), out=Path("a.safetensors"), base=base, steps=20, eval_every=10, batch_size=8,
    tokens=8, sweep=int(sweep), report_to=(tracker,), run_dir=Path("my-run"),
), Console(quiet=True))
"""


@pytest.fixture
def tracked(tmp_path, tiny_folder, toy_rows):
    """Train in a process of its own, since trackers keep state; gives the folder."""
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in toy_rows))

    def run(tracker, sweep=1, **environment):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tiny_folder), tracker, str(sweep)],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return tmp_path

    return run


def test_mlflow_gets_settings_and_curves(tracked, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder = tracked("mlflow", MLFLOW_TRACKING_URI="file:mlruns", MLFLOW_EXPERIMENT_NAME="softcall")
    client = mlflow.MlflowClient(tracking_uri=f"file:{folder}/mlruns")
    (found,) = client.search_runs([client.get_experiment_by_name("softcall").experiment_id])
    assert (found.info.run_name, found.info.status) == ("my-run", "FINISHED")
    assert (found.data.params["steps"], found.data.params["learning_rate"]) == ("20", "0.01")
    assert {"loss", "gradient_norm", "eval_accuracy", "eval_macro_f1"} <= found.data.metrics.keys()
    assert [point.step for point in client.get_metric_history(found.info.run_id, "loss")] == [10, 20]
    scored = client.get_metric_history(found.info.run_id, "eval_accuracy")
    assert [point.step for point in scored] == [10, 20] and 0 < scored[-1].value <= 1


def test_w_and_b_gets_the_curves_of_each_candidate_of_a_sweep(tracked):
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    folder = tracked("wandb", sweep=2, WANDB_MODE="offline", WANDB_SILENT="true")
    (file,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    store, logged = DataStore(), {}
    store.open_for_scan(str(file))
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for item in record.history.item:
            logged.setdefault(item.key or "/".join(item.nested_key), []).append(json.loads(item.value_json))
    assert {"train/candidate_1_loss", "eval/candidate_2_accuracy"} <= logged.keys()
    assert set(logged["train/global_step"]) == {8, 10, 20}


def test_a_tracker_that_cannot_begin_is_refused_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://tracking")
    with pytest.raises(SoftcallError, match=r"--report-to mlflow: .*nowhere"):
        Curves(tmp_path, [Tracker.MLFLOW], {}, candidates=1, step=0)
