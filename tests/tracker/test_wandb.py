"""Offline runs of W&B: what their logs hold, how they end, and what is refused."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from exp.errors import ExpError
from tests.tracker.folders import exit_code, history, leave_results, new_run, records, summary, wandb_folders
from tests.tracker.wandb_runs import tracker, train


def test_importing_it_imports_nothing_heavy():
    code = "import sys, exp.tracker.wandb, exp.tracker.trackio; print({'wandb', 'numpy', 'trackio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_without_a_key_the_run_is_offline_and_says_how_to_upload_it(wandb_home, tmp_path, caplog, capfd):
    run = new_run(tmp_path / "multirun" / "12-00-00" / "3", group="lr-study")
    with caplog.at_level(logging.INFO):
        train(tracker(tags=["mine"], notes="why"), run)
    (folder,) = wandb_folders(run)
    (said,) = [record.getMessage() for record in caplog.records if record.name.startswith("exp")]
    assert "no W&B key found" in said
    assert said.endswith(f"upload later: python -m exp.runs sync {run.folder}")
    assert capfd.readouterr() == ("", "")

    found = summary(folder)
    assert (found["state"], found["exit_code"], found["run_id"]) == ("finished", 0, run.id)
    assert (found["project"], found["name"], found["notes"]) == ("exp", "12-00-00/3", "why")
    assert set(found["tags"]) == {"mine", run.condition}
    assert found["config"]["condition"] == run.condition
    assert found["config"]["optimizer"] == {"lr": 1e-4, "betas": [0.9, 0.999]}  # nested, not flattened
    ended = found["summary"]
    assert (ended["best/accuracy"], ended["best/eval_mm/accuracy"]) == (0.75, 0.5)
    assert (ended["status"], ended["cost/train_seconds"]) == ("completed", 1.5)
    assert ended["eval/confusion_matrix"]["_type"] == "image-file"

    kept = {record["type"]: record for record in records(folder)}
    assert (kept["run"]["run"]["run_group"], kept["run"]["run"]["job_type"]) == ("lr-study", "train")
    assert "artifact" not in kept  # it would point out of the run folder
    assert list(history(folder))[:2] == [
        {"train/loss": 0.1, "train/lr": 1e-4, "step": 10, "epoch": 0.5},
        {"eval/accuracy": 0.1, "eval_mm/accuracy": 0.5, "step": 10, "epoch": 0.5},
    ]


def test_wandbs_own_variables_hold_where_the_config_says_nothing(wandb_home, tmp_path, monkeypatch):
    """One that would be refused is named; a study's group goes before the variable's."""
    for name, value in {"PROJECT": "mine", "RUN_GROUP": "ours", "NAME": "a run", "TAGS": "a, b"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    alone, trial = new_run(tmp_path / "alone"), new_run(tmp_path / "trial", group="lr-study")
    train(tracker(tags=["c"]), alone)
    train(tracker(project="said", name="so"), trial)
    found = summary(wandb_folders(alone)[0])
    assert (found["project"], found["name"]) == ("mine", "a run")
    assert set(found["tags"]) == {"a", "b", "c", alone.condition}
    groups = []
    for run in (alone, trial):
        groups += [one["run"]["run_group"] for one in records(wandb_folders(run)[0]) if one["type"] == "run"][:1]
    assert groups == ["ours", "lr-study"]
    said = summary(wandb_folders(trial)[0])
    assert (said["project"], said["name"]) == ("said", "so")
    monkeypatch.setenv("WANDB_PROJECT", "a/b")
    with pytest.raises(ExpError, match="WANDB_PROJECT='a/b'"):
        tracker()


def test_a_disabled_wandb_is_disabled_unless_the_config_contradicts(wandb_home, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_DISABLED", "true")
    assert tracker().effective_mode() == ("disabled", "")
    assert tracker(mode="offline").effective_mode()[0] == "offline"
    assert "tracker.wandb.mode=offline goes before WANDB_DISABLED=true" in caplog.text


def test_every_metric_has_the_step_as_its_axis(wandb_home, tmp_path):
    run = new_run(tmp_path / "run")
    train(tracker(), run)
    metrics = [record["metric"] for record in records(wandb_folders(run)[0]) if record["type"] == "metric"]
    axes = {one.get("glob_name") or one["name"]: one.get("step_metric") for one in metrics}
    assert axes == {
        "step": None,
        "epoch": "step",
        "train/*": "step",
        "eval*": "step",
        "test*": "step",
        "predictions/*": "step",
    }


@pytest.mark.parametrize("status", ["completed", "pruned", "failed", "interrupted"])
def test_exit_state(wandb_home, tmp_path, status):
    run = new_run(tmp_path / "run")
    train(tracker(), run, status=status)
    (folder,) = wandb_folders(run)
    assert exit_code(folder) == {"failed": 1, "interrupted": 130}.get(status, 0)
    assert any(record["type"] == "preempting" for record in records(folder)) == (status == "interrupted")


def test_several_runs_in_one_process_are_several_wandb_runs(wandb_home, tmp_path):
    runs = [new_run(tmp_path / name) for name in "abc"]
    trackers = [tracker() for _ in runs]
    for one, run, last in zip(trackers, runs, (10, 20, 30), strict=True):
        train(one, run, steps=[last])
    for run, last in zip(runs, (10, 20, 30), strict=True):
        (folder,) = wandb_folders(run)
        assert summary(folder)["run_id"] == run.id
        assert {row["step"] for row in history(folder)} == {last}


def test_a_run_that_was_not_finished_ends_when_the_next_starts(wandb_home, tmp_path):
    first, second = new_run(tmp_path / "first"), new_run(tmp_path / "second")
    tracker().start(first)
    train(tracker(), second)
    assert summary(wandb_folders(second)[0])["run_id"] == second.id
    assert exit_code(wandb_folders(first)[0]) == 0


def test_group_is_the_condition_outside_of_a_study_and_can_be_set(wandb_home, tmp_path):
    for name, given in (("a", None), ("b", "by hand")):
        run = new_run(tmp_path / name)
        train(tracker(group=given), run)
        (begun,) = [one["run"] for one in records(wandb_folders(run)[0]) if one["type"] == "run"]
        assert begun["run_group"] == (given or run.condition)


def test_offline_resume_keeps_the_id_and_sends_no_step_twice(wandb_home, tmp_path):
    run = new_run(tmp_path / "run")
    train(tracker(), run, steps=(10, 20, 30), status="interrupted")
    run.update(logged_until=30)  # what metrics.jsonl held before it was cut back to the checkpoint
    train(tracker(), run, steps=(20, 30, 40))
    first, second = wandb_folders(run)
    assert summary(first)["run_id"] == summary(second)["run_id"] == run.id
    steps = [row["step"] for folder in (first, second) for row in history(folder) if "train/loss" in row]
    assert steps == [10, 20, 30, 40]


def test_an_alert_is_sent_once_a_title(wandb_home, tmp_path):
    run = new_run(tmp_path / "run")
    one = tracker()
    one.start(run)
    for title in ("overfitting", "overfitting", "unstable"):
        one.alert(title, "loss went up")
    one.finish("completed")
    alerts = [record["alert"] for record in records(wandb_folders(run)[0]) if record["type"] == "alert"]
    assert [(alert["title"], alert["text"]) for alert in alerts] == [
        ("overfitting", "loss went up"),
        ("unstable", "loss went up"),
    ]


def test_nan_does_not_stop_the_logging(wandb_home, tmp_path, caplog):
    run = new_run(tmp_path / "run")
    one = tracker()
    one.start(run)
    one.log({"train/loss": math.nan}, step=1, epoch=0.1)
    one.log({"train/loss": 1.0}, step=2, epoch=0.2)
    one.finish("completed")
    assert [row["step"] for row in history(wandb_folders(run)[0])] == [1, 2]
    assert "failed" not in caplog.text


def test_a_dead_service_is_said_once_and_the_next_run_gets_another(wandb_home, tmp_path, caplog):
    run, after = new_run(tmp_path / "run"), new_run(tmp_path / "after")
    one = tracker()
    one.start(run)
    (service,) = [child for child in psutil.Process().children() if "wandb-core" in child.name()]
    service.kill()
    service.wait()
    for step in range(50):
        one.log({"train/loss": 1.0}, step=step, epoch=0.0)
    one.alert("a", "b")
    leave_results(run)
    one.finish("completed")
    (said,) = [record.getMessage() for record in caplog.records if record.name.startswith("exp")]
    assert said.startswith("W&B failed while")
    train(tracker(), after)
    assert summary(wandb_folders(after)[0])["exit_code"] == 0


@pytest.mark.parametrize("project", ["a/b", "", "x" * 129])
def test_a_project_that_wandb_refuses_is_refused_at_once(project):
    with pytest.raises(ExpError, match=r"tracker\.wandb\.project"):
        tracker(project=project)


def test_a_tag_that_is_too_long_is_refused_at_once():
    with pytest.raises(ExpError, match="65 characters"):
        tracker(tags=["t" * 65])


def test_a_malformed_key_is_said_and_the_run_goes_offline(wandb_home, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "short")
    run = new_run(tmp_path / "run")
    with caplog.at_level(logging.INFO):
        train(tracker(), run)
    assert "the W&B key is not valid" in caplog.text
    assert summary(wandb_folders(run)[0])["exit_code"] == 0


def test_wandb_mode_of_the_environment_counts_where_the_config_says_nothing(wandb_home, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run = new_run(tmp_path / "run")
    train(tracker(), run)
    assert wandb_folders(run) == []


def test_log_model_offline_says_that_the_model_stays_where_it_is(wandb_home, tmp_path, caplog):
    run = new_run(tmp_path / "run")
    with caplog.at_level(logging.INFO):
        train(tracker(log_model=True, log_predictions=3), run)
    said = "tracker.wandb.log_model, tracker.wandb.log_predictions: artifacts are stored online only"
    assert caplog.text.count(said) == 1
    assert not any(record["type"] == "artifact" for record in records(wandb_folders(run)[0]))


def test_no_secret_of_the_environment_reaches_it(wandb_home, tmp_path, monkeypatch):
    word, address = "".join(("GEH", "EIM", "1234")), "postgresql://me:" + "".join(("GEH", "EIM")) + "@db/s"
    monkeypatch.setenv("PGPASSWORD", word)
    monkeypatch.setattr("sys.argv", ["train.py", f"tracker.wandb.name={word}", f"hydra.sweeper.storage={address}"])
    run = new_run(tmp_path / "run")
    run = replace(run, config={**run.config, "storage": address, "seen": word})
    train(tracker(name=word, notes=f"with {word}", tags=[word]), run)
    # Put together here, because run.json holds the diff of this very file.
    written = [path for path in run.folder.rglob("*") if path.is_file() and word[:6].encode() in path.read_bytes()]
    assert written == []
