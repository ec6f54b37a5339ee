"""A study over real, tiny trainings."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from optuna.trial import TrialState

from tests.conformance.task_data import token_classification

from .conftest import load

Entry = Callable[..., subprocess.CompletedProcess[str]]
QUICK = ["tracker=none", "data.max_train_samples=64", "data.max_eval_samples=32", "hydra.sweeper.pictures=false"]


@pytest.mark.slow
def test_a_preset_trains_prunes_and_tells_how_to_do_it_again(entry: Entry, tmp_path: Path) -> None:
    done = entry("train", "--multirun", "sweep=lr", *QUICK, "num_train_epochs=3", "hydra.sweeper.n_trials=2",
                 "hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.lower=1.1",
                 "hydra.sweeper.pruner.n_warmup_steps=2")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / "multirun").iterdir()
    assert folder.name.startswith("lr-reviews-bert_tiny-")
    trials = load(folder).trials
    assert {trial.state for trial in trials} == {TrialState.PRUNED}  # no accuracy is above 1.1
    for trial in trials:
        record = json.loads((folder / str(trial.number) / "run.json").read_text())
        assert record["status"] == "pruned"
        assert record["group"] == folder.name
        assert (folder / str(trial.number) / "result.json").exists()
        assert list(trial.intermediate_values) == [1, 2]
    again = entry("train", "--multirun", "sweep=lr", *QUICK, "num_train_epochs=3", "hydra.sweeper.n_trials=3",
                  "hydra.sweeper.objective=eval/accuracy", "hydra.sweeper.seeds=null")  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    assert "goes on after 2 of 3" in again.stdout
    results = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    best = json.loads((folder / "best" / "result.json").read_text())
    assert results["best_value"] == best["objective"]["value"]
    assert results["split"] == ["eval"]
    words = shlex.split(results["command"])
    assert words[:3] == ["python", "-m", "exp.train"]
    alone = entry("train", *words[3:], "hydra.run.dir=alone")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    record, result = (json.loads((tmp_path / "alone" / name).read_text()) for name in ("run.json", "result.json"))
    assert result["objective"] == best["objective"]  # the same run
    assert record["condition"] == json.loads((folder / "best" / "run.json").read_text())["condition"]


def test_a_contrary_direction_is_refused_under_both_sweepers(entry: Entry, tmp_path: Path) -> None:
    for sweeper, words in (("optuna", []), ("study", ["hydra.sweeper.direction=minimize"])):
        done = entry("train", "--multirun", f"hydra/sweeper={sweeper}", "optimizer.lr=interval(1e-5,1e-3)", *words)
        assert done.returncode == 2
        assert "direction=minimize on eval/accuracy seeks the worst run" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "multirun").exists() or not list((tmp_path / "multirun").rglob("run.json"))


def test_a_branch_that_cannot_work_is_found_before_the_first_trial(entry: Entry, tmp_path: Path) -> None:
    # Each value alone is well; one pair is not.
    done = entry("train", "--multirun", "sweep=lr", "scheduler.warmup_steps=choice(0,5)", "max_steps=choice(100,2)")
    assert done.returncode == 2
    assert "a trial with" in done.stderr and "the rate would never leave the warmup" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "multirun").exists()


@pytest.mark.slow
def test_a_study_over_a_tasks_keys_and_an_optimizers(entry: Entry, tmp_path: Path) -> None:
    """The objective is the task's own metric."""
    done = entry("train", "--multirun", "hydra/sweeper=study", *token_classification(tmp_path / "data"), *QUICK,
                 "max_steps=1", "hydra.sweeper.n_trials=2", "task.max_length=choice(8,16)",
                 "optimizer.lr=tag(log,interval(1e-5,1e-3))")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / "multirun").iterdir()
    trials = load(folder).trials
    assert len(trials) == 2 and all(trial.state == TrialState.COMPLETE for trial in trials)
    for trial in trials:
        record, result = (
            json.loads((folder / str(trial.number) / name).read_text()) for name in ("run.json", "result.json")
        )
        assert record["config"]["task"]["max_length"] == trial.params["task.max_length"]
        assert record["config"]["optimizer"]["lr"] == trial.params["optimizer.lr"]
        assert result["objective"]["name"] == "eval/entity_f1" and result["objective"]["value"] == trial.value


@pytest.mark.slow
def test_the_last_evaluation_prunes_nothing(entry: Entry, tmp_path: Path) -> None:
    """Nothing would be saved: the run is complete."""
    done = entry("train", "--multirun", "sweep=asha", *QUICK, "num_train_epochs=1", "hydra.sweeper.n_trials=1",
                 "hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.lower=1.1")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / "multirun").iterdir()
    (trial,) = load(folder).trials
    assert trial.state == TrialState.COMPLETE and list(trial.intermediate_values) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["lr", "optimizer", "asha", "grid", "seeds"])
def test_every_preset_is_whole(preset: str, entry: Entry) -> None:
    """Every config that it can compose is checked, then storage=redis ends it."""
    done = entry("train", "--multirun", f"sweep={preset}", "hydra.sweeper.storage=redis://x")
    assert done.returncode == 2
    assert "unknown kind 'redis'" in done.stderr


@pytest.mark.slow
def test_trials_and_summary_are_one_group_in_wandb(entry: Entry, tmp_path: Path) -> None:
    words = [word for word in QUICK if word != "tracker=none"]
    done = entry("train", "--multirun", "sweep=lr", *words, "max_steps=2", "hydra.sweeper.n_trials=2",
                 WANDB_MODE="offline")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no summary run" not in done.stdout
    (folder,) = (tmp_path / "multirun").iterdir()
    for number in ("0", "1"):
        config = yaml.safe_load((folder / number / ".hydra" / "config.yaml").read_text())
        assert config["tracker"]["wandb"]["group"] == folder.name
        assert list((folder / number / "wandb").glob("offline-run-*"))
    assert len(list((folder / "wandb").glob("offline-run-*"))) == 1
