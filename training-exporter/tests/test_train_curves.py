"""Trackers get the curves of a run through transformers' integrations; both write to a local folder here."""

import json

import pytest
from rich.console import Console

from softcall.core.errors import SoftcallError
from softcall.training.loop.curves import Curves
from softcall.training.settings.config import Tracker, TrainConfig
from softcall.training.train import train

mlflow = pytest.importorskip("mlflow")
wandb = pytest.importorskip("wandb")


@pytest.fixture
def tracked(tmp_path, tiny_folder, toy_rows, monkeypatch):
    """Train 20 steps with a tracker."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in toy_rows))

    def run(tracker, **options):
        options |= {"steps": 20, "eval_every": 10, "batch_size": 8, "tokens": 8, "report_to": (tracker,)}
        options |= {
            "out": tmp_path / "a.safetensors",
            "base": str(tiny_folder),
            "run_dir": tmp_path / "my-run",
        }
        return train(TrainConfig(data, **options), Console(quiet=True))

    return run


def test_mlflow_gets_settings_and_curves(tracked, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "softcall")
    artifact = tracked(Tracker.MLFLOW)
    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("softcall").experiment_id])
    assert (found.info.run_name, found.info.status) == ("my-run", "FINISHED")
    assert found.data.params["steps"] == "20"
    assert found.data.params["learning_rate"] == "0.005"
    assert {"loss", "gradient_norm", "eval_accuracy", "eval_macro_f1"} <= found.data.metrics.keys()
    assert [point.step for point in client.get_metric_history(found.info.run_id, "loss")] == [10, 20]
    scored = client.get_metric_history(found.info.run_id, "eval_accuracy")
    assert [point.step for point in scored] == [10, 20]
    assert max(point.value for point in scored) == artifact.metrics["dev_accuracy"]


def test_w_and_b_gets_the_curves_of_each_candidate_of_a_sweep(tracked, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    artifact = tracked(Tracker.WANDB, sweep=2)
    kept, settings = dict(wandb.run.summary), dict(wandb.run.config)
    wandb.finish()
    assert settings["steps"] == 20 and len(settings["candidates"]) == 2
    assert {"eval/candidate_1_loss", "eval/candidate_2_loss"} <= kept.keys()
    assert any(f"train/candidate_{number}_loss" in kept for number in (1, 2))  # who goes on beyond step 8
    assert kept["train/global_step"] == 20
    assert artifact.metrics["dev_accuracy"] >= kept["eval/candidate_1_accuracy"]
    assert list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))


def test_a_tracker_that_cannot_begin_is_refused_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://tracking")
    with pytest.raises(SoftcallError, match=r"--report-to mlflow: .*nowhere"):
        Curves(tmp_path, [Tracker.MLFLOW], {}, candidates=1, step=0)
