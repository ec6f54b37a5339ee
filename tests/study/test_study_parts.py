"""The parts of a study that need no process: objective, direction, slots."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from exp.errors import ExpError
from exp.run.process import is_stopped, started, this_process
from exp.study.direction import check_objectives, directions, greater_is_better, objective_names
from exp.study.objective import Objective, read_constraints, reduce
from exp.work.database import with_driver
from exp.work.heartbeat import heartbeat_key
from exp.work.last_read import slot_holders
from exp.work.locks import ClaimLock
from exp.work.storage import open_storage
from exp.work.trial_queue import TrialQueue

from .conftest import until

MRPC = {"data": {"metrics": ["accuracy", "f1"]}, "metric_for_best_model": None, "greater_is_better": None}


def test_direction_comes_from_the_metric() -> None:
    assert objective_names(None, MRPC) == ["eval/accuracy"]
    assert objective_names(None, {**MRPC, "metric_for_best_model": "loss"}) == ["loss"]
    assert directions(None, ["eval/accuracy"], MRPC) == ["maximize"]
    assert directions(None, ["eval_loss", "f1", "cost/train_seconds"], MRPC) == ["minimize", "maximize", "minimize"]
    costs = ["cost/energy_kwh", "cost/money", "cost/total_flops", "cost/mfu"]
    assert directions(None, costs, MRPC) == ["minimize", "minimize", "minimize", "maximize"]
    assert greater_is_better("eval/unheard_of", MRPC) is None
    with pytest.raises(ExpError, match="seeks the worst run"):
        directions("minimize", ["eval/accuracy"], MRPC)
    with pytest.raises(ExpError, match="no evaluation of this data computes it; did you mean 'f1'"):
        check_objectives(["eval/f11"], MRPC)
    with pytest.raises(ExpError, match="makes no evaluation"):
        check_objectives(["f1"], {**MRPC, "eval_strategy": "no"})


def test_reductions_over_seeds() -> None:
    values = [0.80, 0.82, 0.90]
    assert reduce(values, "mean", 1, "maximize") == pytest.approx(0.84)
    assert reduce(values, "median", 1, "maximize") == 0.82
    error = 0.052915 / 3**0.5  # standard deviation by hand: sqrt((0.04^2 + 0.02^2 + 0.06^2) / 2)
    assert reduce(values, "bound", 2, "maximize") == pytest.approx(0.84 - 2 * error, abs=1e-5)
    assert reduce(values, "bound", 2, "minimize") == pytest.approx(0.84 + 2 * error, abs=1e-5)


def test_objective_reads_what_the_run_wrote(tmp_path: Path) -> None:
    result = {
        "objective": {"name": "eval/f1", "value": 0.9, "step": 3},
        "best": {"eval/f1": {"value": 0.9, "step": 3}},
        "last": {"eval/f1": {"value": 0.7, "step": 9}},
        "cost": {"train_seconds": 12.0},
    }
    (tmp_path / "result.json").write_text(json.dumps(result))
    limits = read_constraints({"cost/train_seconds": "<= 10", "eval/f1": ">= 0.5"})
    one = Objective(("eval/f1",), ("maximize",), "best", "mean", 1.0, limits)
    assert one.values(tmp_path, 0.0) == [0.9]
    assert Objective(("f1",), ("maximize",), "last", "mean", 1.0, {}).values(tmp_path, 0.0) == [0.7]
    two = Objective(("eval/f1", "cost/train_seconds"), ("maximize", "minimize"), "last", "mean", 1.0, {})
    assert two.values(tmp_path, 0.0) == [0.7, 12.0]
    assert one.violations([tmp_path]) == pytest.approx({"cost/train_seconds": 2.0, "eval/f1": -0.2})
    with pytest.raises(ValueError, match="not in the run's result"):
        Objective(("f1", "gone"), ("maximize", "maximize"), "last", "mean", 1.0, {}).values(tmp_path, 0.0)
    with pytest.raises(ValueError, match="NaN"):
        one.values(tmp_path / "nowhere", float("nan"))


def queue(folder: Path, n_trials: int = 3) -> TrialQueue:
    storage = open_storage(None, folder)
    study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True)
    return TrialQueue(study, ClaimLock(None, folder, "s"), n_trials, retries=1, stale_after=60.0, retry_seconds=1.0)


def alive(queue: TrialQueue, worker: str, **changed: Any) -> None:
    beat = {**this_process(), "time": time.time()}
    queue.study.set_user_attr(heartbeat_key(worker), {**beat, **changed})


def test_slots_are_exact_and_a_dead_workers_comes_back(tmp_path: Path) -> None:
    ours = queue(tmp_path)
    for name in ("me", "you", "they"):
        alive(ours, name)
    alive(ours, "dead", started=999.0)
    first = ours.claim("me", commit="c")
    second = ours.claim("dead")
    assert first is not None and first.user_attrs == {"worker": "me", "commit": "c"}
    assert second is not None
    optuna.Trial(ours.study, second._trial_id).suggest_float("x", 0, 1)
    lost = ours.study.trials[1].params
    third = ours.claim("you")  # which finds the dead one's trial
    assert [trial.state.name for trial in ours.study.trials] == ["RUNNING", "FAIL", "RUNNING"]
    fourth = ours.claim("they")
    assert fourth is not None and third is not None
    assert optuna.Trial(ours.study, third._trial_id).suggest_float("x", 0, 1) == lost["x"]
    alive(ours, "none left")
    assert ours.claim("none left") is None
    assert len(ours.study.trials) == 4  # three slots and the lost one; nothing was made in vain
    assert len(slot_holders(ours.study.trials)) == 3


def test_a_claim_whose_answer_was_lost_is_found_again(tmp_path: Path) -> None:
    ours = queue(tmp_path)
    alive(ours, "me")
    first = ours.claim("me")
    again = ours.claim("me")
    assert first is not None and again is not None and again.number == first.number
    assert len(ours.study.trials) == 1


def test_a_claim_beyond_the_total_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = queue(tmp_path, n_trials=1)
    for name in ("me", "other"):
        alive(ours, name)
    fresh = TrialQueue._read_trials
    seen: list[int] = []

    def late(self: TrialQueue) -> list[FrozenTrial]:
        """The lock is lost after the first look: another worker takes the last slot before we do."""
        found = list(fresh(self))
        if not seen:
            seen.append(1)
            blank = create_trial(state=TrialState.RUNNING, user_attrs={"worker": "other"})
            self.study._storage.create_new_trial(self.study._study_id, blank)
        return found

    monkeypatch.setattr(TrialQueue, "_read_trials", late)
    assert ours.claim("me") is None
    assert [trial.state.name for trial in ours.study.trials] == ["RUNNING", "FAIL"]
    assert len(slot_holders(ours.study.trials)) == 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, in seconds, to be set."""
    now = [1000.0]
    monkeypatch.setattr("exp.work.heartbeat.time.monotonic", lambda: now[0])
    return now


def looks(ours: TrialQueue, clock: list[float], count: int) -> list[int]:
    """What is recovered while somebody looks every ten seconds, as a coordinator does."""
    found = []
    for _ in range(count):
        clock[0] += 10
        found += ours.recover()
    return found


def test_another_machines_worker_is_dead_when_its_beat_stands_still(tmp_path: Path, clock: list[float]) -> None:
    ours = queue(tmp_path)
    alive(ours, "far", machine="elsewhere", time=time.time() + 100)  # its clock is wrong
    ours.claim("far")
    assert looks(ours, clock, 5) == []
    alive(ours, "far", machine="elsewhere", time=time.time() + 200)
    assert looks(ours, clock, 6) == []
    assert looks(ours, clock, 2) == [0]
    alive(ours, "old", machine="elsewhere", time=time.time() - 1000)
    ours.claim("old")
    assert ours.recover() == [1]  # long since


def test_beats_that_nobody_could_see_are_not_missed(tmp_path: Path, clock: list[float]) -> None:
    """The database was away for two minutes: neither could its workers write nor could we read."""
    ours = queue(tmp_path)
    alive(ours, "far", machine="elsewhere")
    ours.claim("far")
    assert looks(ours, clock, 2) == []
    clock[0] += 120
    assert looks(ours, clock, 5) == []
    alive(ours, "far", machine="elsewhere", time=time.time() + 1)
    assert looks(ours, clock, 5) == []


def test_a_halted_worker_of_this_machine_is_dead_after_a_while(tmp_path: Path, clock: list[float]) -> None:
    """SIGSTOP longer than `stale_after`, then SIGCONT: its trial has gone to another, its late result is dropped."""
    ours = queue(tmp_path)
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        began = started(sleeper.pid)
        alive(ours, "halted", pid=sleeper.pid, started=began)
        claimed = ours.claim("halted")
        assert claimed is not None
        trial = optuna.Trial(ours.study, claimed._trial_id)
        assert looks(ours, clock, 10) == []  # it lives, however rarely it beats
        sleeper.send_signal(signal.SIGSTOP)
        until(lambda: is_stopped(sleeper.pid))
        assert looks(ours, clock, 6) == []
        assert looks(ours, clock, 2) == [0]
        sleeper.send_signal(signal.SIGCONT)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not ours.tell(trial, "halted", TrialState.COMPLETE, [1.0])
    assert [trial.state.name for trial in ours.study.trials] == ["FAIL", "WAITING"]


def test_a_result_that_comes_too_late_is_dropped(tmp_path: Path) -> None:
    ours = queue(tmp_path)
    alive(ours, "slow", started=999.0)
    claimed = ours.claim("slow")
    assert claimed is not None
    trial = optuna.Trial(ours.study, claimed._trial_id)
    assert ours.recover() == [0]
    assert not ours.tell(trial, "slow", TrialState.COMPLETE, [1.0])
    assert ours.study.trials[0].state == TrialState.FAIL
    alive(ours, "me")
    next_one = ours.claim("me")
    assert next_one is not None
    again = optuna.Trial(ours.study, next_one._trial_id)
    assert ours.tell(again, "me", TrialState.COMPLETE, [2.0])
    assert ours.tell(again, "me", TrialState.COMPLETE, [2.0])  # the answer was lost; told twice is told once
    assert ours.study.best_value == 2.0


def test_the_driver_that_is_installed() -> None:
    pytest.importorskip("psycopg2")
    assert with_driver("postgresql://me@host/x").startswith("postgresql+psycopg")
    assert with_driver("sqlite:///x.db") == "sqlite:///x.db"
