from __future__ import annotations

import math
import socket
from pathlib import Path

import pytest
import yaml

from exp.errors import ExpError
from exp.tracker.mlflow import MLflow
from tests.tracker.folders import leave_results, new_run, with_task

pytest.importorskip("mlflow", reason="the extra mlflow is not installed")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """One database for the module: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def client(uri):
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def made(**changes) -> MLflow:
    options = yaml.safe_load((Path(__file__).parents[2] / "conf" / "tracker" / "mlflow.yaml").read_text())
    del options["_target_"]
    return MLflow(**{**options, **changes})


def life(tracker, run, steps=(10, 20), status="completed"):
    tracker.start(run)
    for step in steps:
        tracker.log({"train/loss": 1 / step, "train/grad_norm": math.nan}, step=step, epoch=1.0)
    if status == "completed":
        leave_results(run)
    tracker.finish(status)


def stored(client, experiment):
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def test_numbers_parameters_pictures_and_best_values(uri, client, tmp_path):
    run = new_run(tmp_path / "run", config=with_task())
    life(made(tracking_uri=uri, experiment="whole"), run)
    (found,) = stored(client, "whole")
    assert found.info.status == "FINISHED" and found.data.tags["exp.run_id"] == run.id
    assert [(one.step, one.value) for one in client.get_metric_history(found.info.run_id, "train/loss")] == [
        (10, 0.1),
        (20, 0.05),
    ]
    assert math.isnan(found.data.metrics["train/grad_norm"]) and found.data.metrics["best/accuracy"] == 0.75
    assert found.data.params["optimizer.lr"] == "0.0001" and found.data.params["optimizer.betas"] == "[0.9, 0.999]"
    kept = {one.path for folder in (None, "pictures") for one in client.list_artifacts(found.info.run_id, folder)}
    assert {"pictures/eval_confusion_matrix.png", "predictions", "result.json"} <= kept


def test_a_run_that_goes_on_is_the_same_run_and_no_step_comes_twice(uri, client, tmp_path):
    run = new_run(tmp_path / "run")
    life(made(tracking_uri=uri, experiment="resumed"), run, (10, 20, 30), "interrupted")
    assert [one.info.status for one in stored(client, "resumed")] == ["KILLED"]
    run.update(logged_until=30)
    life(made(tracking_uri=uri, experiment="resumed"), run, (20, 30, 40))
    (found,) = stored(client, "resumed")
    assert found.info.status == "FINISHED"
    assert [one.step for one in client.get_metric_history(found.info.run_id, "train/loss")] == [10, 20, 30, 40]


def test_a_failed_run_is_failed_there(uri, client, tmp_path):
    life(made(tracking_uri=uri, experiment="failed"), new_run(tmp_path / "run"), status="failed")
    assert [one.info.status for one in stored(client, "failed")] == ["FAILED"]


def test_results_that_cannot_be_sent_leave_no_run_running(uri, client, tmp_path, monkeypatch, caplog):
    def broken(run):
        raise ValueError("a bug of a picture")

    monkeypatch.setattr("exp.tracker.mlflow.pictures", broken)
    life(made(tracking_uri=uri, experiment="broken"), new_run(tmp_path / "run", config=with_task()))
    assert [one.info.status for one in stored(client, "broken")] == ["FINISHED"]
    assert caplog.text.count("MLflow failed while finishing (ValueError: a bug of a picture)") == 1


def test_a_completed_run_adds_a_version_of_the_registered_model(uri, client, tmp_path):
    for name in "ab":
        run = new_run(tmp_path / name)
        run.model_folder.mkdir()
        (run.model_folder / "config.json").write_text("{}")
        life(made(tracking_uri=uri, experiment="models", log_model=True, registered_model="judge"), run)
    versions = client.search_model_versions("name = 'judge'")
    assert sorted(int(one.version) for one in versions) == [1, 2]
    assert all(one.source.endswith("/model") and one.tags["condition"] for one in versions)


def test_a_model_is_registered_only_where_one_is_logged():
    with pytest.raises(ExpError, match=r"registered_model=judge .*tracker\.mlflow\.log_model=true"):
        made(registered_model="judge")


def test_a_server_that_is_away_ends_nothing_and_its_password_is_nowhere(tmp_path, caplog, capfd):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://me:Geheim12@127.0.0.1:{port}"
    run = new_run(tmp_path / "run", config={"seed": 1, "tracker": {"mlflow": {"tracking_uri": uri}}})
    caplog.set_level("INFO")
    life(made(tracking_uri=uri, finish_timeout=0.2), run)
    said = caplog.text + "".join(capfd.readouterr())
    assert "MLflow" in said and "Geheim12" not in said
    assert "did not take" in caplog.text or "failed while starting" in caplog.text
    assert "Geheim12" not in (run.folder / "run.json").read_text()
