"""Trials that several processes train."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from optuna.trial import TrialState

from exp.errors import ExpError
from exp.run.events import read_events
from exp.work import settings
from exp.work.settings import gpus_of
from tests import forked

from .conftest import Sweep, load, until
from .test_study_faults import start

X = "x=interval(0.0,1.0)"
UP = "hydra.sweeper.direction=maximize"
TWO = "hydra.sweeper.processes_per_trial=2"


@pytest.mark.parametrize(
    ("slot", "each", "gpus", "visible"),
    [
        (0, 1, ["0", "1"], "0"),
        (3, 1, ["0", "1"], "1"),
        (0, 2, ["4", "5", "6", "7"], "4,5"),
        (1, 2, ["4", "5", "6", "7"], "6,7"),
        (2, 2, ["4", "5", "6", "7"], "4,5"),
        (1, 2, ["0", "1", "2"], "2,0"),
    ],
)
def test_each_process_has_a_gpu(slot: int, each: int, gpus: list[str], visible: str) -> None:
    assert gpus_of(slot, each, gpus) == visible


def test_more_processes_than_gpus_are_refused(sweep: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(ExpError, match="processes_per_trial=2, and this machine has 1 GPUs: take 1 at most"):
        sweep(X, UP, TWO)
    assert not (tmp_path / "multirun").exists()


def test_more_workers_than_memory_holds_are_refused(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(settings, "memory", lambda: 8 * 10**9)
    with pytest.raises(ExpError, match=r"n_jobs=100000 are 100000 processes .* memory for 40 at most"):
        sweep(X, UP, "hydra.sweeper.n_jobs=100000")
    assert not (tmp_path / "multirun").exists()


@pytest.mark.slow
def test_two_processes_draw_once_are_pruned_together_and_survive_a_dead_one(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    sweep(
        X, UP, TWO, "hydra.sweeper.study_name=s", "hydra.sweeper.n_trials=2", "hydra.sweeper.threads=1",
        "hydra.sweeper.enqueue=[{x:0.3},{x:0.9}]", "hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.lower=0.3",
        "fault=kill_rank", f"mark={tmp_path / 'mark'}",
    )  # fmt: skip
    folder = tmp_path / "multirun" / "s"
    trials = load(folder).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.PRUNED]  # each told once
    assert [trial.user_attrs.get("attempts") for trial in trials] == [1, None]  # the dead process cost one try
    assert [list(trial.intermediate_values) for trial in trials] == [[1, 2, 3], [1]]
    starts = [(folder / str(number) / "starts").read_text().splitlines() for number in (0, 1)]
    assert Counter(line.split()[2] for line in starts[1]) == {"5,7": 2}
    assert len({line.split()[0] for line in starts[1]}) == 2
    log = (folder / "workers" / "worker-0.log").read_text()
    assert "trial 0: process 1 of the trial died (SIGKILL)" in log


@pytest.mark.slow
def test_a_ddp_trial_goes_on_from_its_checkpoint_when_a_process_was_killed(tmp_path: Path) -> None:
    words = ["experiment=debug", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "max_steps=200", "logging_steps=100",
             "eval_strategy=steps", "eval_steps=20", "save_strategy=steps", "save_steps=20",
             "hydra/sweeper=study", "hydra.sweeper.study_name=s", TWO,
             "hydra.sweeper.n_trials=1", "hydra.sweeper.pictures=false"]  # fmt: skip
    command = [forked.python(), "-m", "exp.train", "--multirun", *words]
    coordinator = start(tmp_path, command=command)
    folder = tmp_path / "multirun" / "s"
    until(lambda: len(list(folder.glob("0/checkpoints/step-*"))) > 0, 240)
    ranks = forked.started_in(tmp_path, "spawn_main")
    assert len(ranks) == 2
    ranks[-1].send_signal(signal.SIGKILL)
    output, _ = coordinator.communicate(timeout=300)
    assert coordinator.returncode == 0, output
    (trial,) = load(folder).trials
    assert trial.state == TrialState.COMPLETE and trial.user_attrs["attempts"] == 1
    steps = [event.step for event in read_events(folder / "0" / "metrics.jsonl") if "eval/accuracy" in event.metrics]
    assert steps == list(range(20, 201, 20))  # gone on with, not begun again
    assert "resumed from" in (folder / "0" / "train.log").read_text()
    record = json.loads((folder / "0" / "run.json").read_text())
    assert record["status"] == "completed" and record["config"]["distributed"]["processes"] == 2
