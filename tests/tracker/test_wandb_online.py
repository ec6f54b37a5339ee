"""What a W&B server is sent, and what happens where there is none; a server of our own stands in."""

from __future__ import annotations

import json
import logging

import pyarrow as pa
import wandb

from exp import runs
from tests.tracker.folders import history, leave_results, new_run, summary, wandb_folders
from tests.tracker.wandb_runs import tracker, train
from tests.tracker.wandb_server import KEY, WandbServer


def test_runs_sync_uploads_what_was_not_and_says_what_failed(wandb_home, tmp_path, monkeypatch, capsys):
    folders = [new_run(tmp_path / "outputs" / name) for name in "abc"]
    train(tracker(), folders[0], steps=(10, 20, 30), status="interrupted")
    folders[0].update(logged_until=30)  # it goes on from step 10, with a second log
    for run in folders[:2]:
        train(tracker(), run, steps=(20, 30, 40))
    leave_results(folders[2])  # trained without W&B
    monkeypatch.chdir(tmp_path)
    assert sync() == 2 and "no W&B key found; set WANDB_API_KEY" in capsys.readouterr().err
    server = WandbServer()
    server.refused = {folders[1].id}
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    wandb.teardown()  # it reads them once
    try:
        assert sync() == 1
        first = capsys.readouterr().out.splitlines()
        server.refused.clear()
        assert sync("dry_run=true") == 0 and capsys.readouterr().out == "outputs/b\n"
        assert sync("outputs") == 0
        second = capsys.readouterr().out.splitlines()
    finally:
        server.stop()
    assert first[:2] == ["uploaded 1 run, 1 without an offline log, 1 failed", "not uploaded: outputs/b"]
    assert "permission denied" in first[2]
    assert second == ["uploaded 1 run, 1 had been uploaded before, 1 without an offline log"]
    assert set(server.history) == {folders[0].id, folders[1].id}
    assert [row["step"] for row in server.history[folders[0].id] if "train/loss" in row] == [10, 20, 30, 40]
    assert sync("again=true") == 2 and "does not answer" in capsys.readouterr().err


def sync(*words: str) -> int:
    try:
        return runs.main(["sync", *words])
    except SystemExit as ending:
        return ending.code


def test_online_everything_arrives_once(server, tmp_path, caplog):
    run = new_run(tmp_path / "run", group="lr-study")
    one = tracker()
    with caplog.at_level(logging.INFO):
        train(one, run, steps=(10, 20, 30), status="interrupted")
        run.update(logged_until=30)
        train(tracker(), run, steps=(20, 30, 40))
    assert f"W&B: {server.url}/me/exp/runs/{run.id}" in caplog.text
    first = server.upserts[0]
    assert (first["name"], first["groupName"], first["jobType"]) == (run.id, "lr-study", "train")
    assert first["tags"] == [run.condition]
    assert list(server.history) == [run.id]
    losses = [row["step"] for row in server.history[run.id] if "train/loss" in row]
    assert losses == [10, 20, 30, 40]
    assert [row["_step"] for row in server.history[run.id]] == sorted({row["_step"] for row in server.history[run.id]})
    assert server.exits == {run.id: 0}  # of the second process; the first ended with 130
    assert any("confusion_matrix" in name for name in server.uploaded)


def test_log_model_stores_model_and_predictions_as_versions_of_their_condition(server, tmp_path):
    run = new_run(tmp_path / "run")
    one = tracker(log_model=True)
    one.start(run)
    one.log({"train/loss": 1.0}, step=1, epoch=0.1)
    run.model_folder.mkdir()
    (run.model_folder / "model.safetensors").write_bytes(b"weights")
    leave_results(run)
    one.finish("completed")
    sent = [one["input"] for one in server.artifacts]
    assert sorted((one["artifactTypeName"], one["artifactCollectionName"]) for one in sent) == [
        ("model", f"model-{run.condition}"),
        ("predictions", f"predictions-{run.condition}"),
    ]
    assert {alias["alias"] for one in sent for alias in one["aliases"]} == {"latest", "seed-7"}
    assert all(one["runName"] == run.id and json.loads(one["metadata"])["best/accuracy"] == 0.75 for one in sent)


def test_inputs_are_named_and_predictions_shown_as_they_change(server, tmp_path, caplog):
    server.keeps_artifacts = True
    run = new_run(tmp_path / "run")
    one = tracker(log_inputs=True, log_predictions=2)
    one.start(run)
    for step, answer in ((1, "no"), (2, "yes")):
        one.log({"train/loss": 1.0}, step=step, epoch=0.1)
        rows = {"id": ["0", "1", "2"], "label": [None, "yes", "no"], "prediction": ["no", answer, "no"]}
        one.predictions("eval", pa.table({**rows, "scores": [[0.9, 0.1]] * 3}), step=step)
    leave_results(run)
    run.update_data(fingerprint="f1")
    one.finish("completed")
    assert "failed" not in caplog.text
    made = {one["input"]["artifactCollectionName"]: one["input"] for one in server.artifacts}
    used = [server.artifacts[int(one["input"]["artifactID"].rpartition("-")[2]) - 1]["input"] for one in server.used]
    assert [(one["artifactTypeName"], one["artifactCollectionName"]) for one in used] == [
        ("dataset", "data-toy"),
        ("model", "start-x"),
    ]
    assert json.loads(made["data-toy"]["metadata"]) == {"fingerprint": "f1", "label_names": ["no", "yes"]}
    tables = [row for row in server.history[run.id] if "predictions/eval" in row]
    assert [(row["step"], row["predictions/eval"]["nrows"]) for row in tables] == [(1, 2), (2, 2)]


def test_a_server_that_goes_away_is_said_once_with_what_to_do(server, tmp_path, caplog):
    run = new_run(tmp_path / "run")
    one = tracker(finish_timeout=2.0)
    one.start(run)
    one.log({"train/loss": 1.0}, step=1, epoch=0.1)
    server.stop()
    one.log({"train/loss": 0.5}, step=2, epoch=0.2)
    leave_results(run)
    one.finish("completed")
    (folder,) = wandb_folders(run)
    (said,) = [record.getMessage() for record in caplog.records if record.name.startswith("exp")]
    assert said == f"W&B did not take everything within 2 s; upload the rest with: wandb sync --include-online {folder}"
    assert [row["step"] for row in history(folder) if "train/loss" in row] == [1, 2]


def test_a_server_that_never_answers_means_offline(wandb_home, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nothing listens there
    run = new_run(tmp_path / "run")
    with caplog.at_level(logging.INFO):
        train(tracker(init_timeout=1.0), run)
    assert "W&B: offline, no answer from W&B" in caplog.text
    (folder,) = (run.folder / "wandb").glob("offline-run-*")
    assert summary(folder)["summary"]["best/accuracy"] == 0.75
