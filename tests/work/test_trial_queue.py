"""A worker that goes by an older read. tests/compat/test_optuna_story.py tells the rest, on every storage."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from exp.compat.optuna import trial_id
from exp.run.process import this_process
from exp.work import last_read
from exp.work.heartbeat import heartbeat_key
from exp.work.last_read import slot_holders
from exp.work.settings import WorkPlan
from exp.work.storage import open_storage
from exp.work.trial_queue import TrialQueue, open_queue


@pytest.fixture(autouse=True)
def _reads_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """For ever, unless something has happened to this process that makes it read again."""
    monkeypatch.setattr(last_read, "REST", 1e9)


def two(folder: Path, n_trials: int, storage: str | None = None) -> tuple[TrialQueue, TrialQueue]:
    """Two processes' views of one study."""
    optuna.create_study(study_name="s", storage=open_storage(storage, folder))
    plan = WorkPlan("s", storage, folder, n_trials, only=None, retries=1, beat_every=10.0, stale_after=60.0)
    return open_queue(plan), open_queue(plan)


def beats(queue: TrialQueue, worker: str, **changed: Any) -> None:
    queue.study.set_user_attr(heartbeat_key(worker), {**this_process(), "time": time.time(), **changed})


def done(queue: TrialQueue, worker: str, state: TrialState = TrialState.COMPLETE) -> int | None:
    """Claims a trial and tells it; its number, or None where there was none."""
    queue.trials(newest=False)  # as a worker does before each trial
    claimed = queue.claim(worker)
    if claimed is None:
        return None
    values = [1.0] if state == TrialState.COMPLETE else None
    assert queue.tell(optuna.Trial(queue.study, trial_id(claimed)), worker, state, values)
    return claimed.number


def counted(queue: TrialQueue, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each read of the study."""
    reads: list[int] = []
    plain = queue.study.get_trials
    monkeypatch.setattr(queue.study, "get_trials", lambda **words: reads.append(1) or plain(**words))
    return reads


def test_trial_after_trial_needs_no_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = two(tmp_path, 6)
    beats(ours, "me"), beats(other, "you")
    reads = counted(ours, monkeypatch)
    assert [done(ours, "me"), done(other, "you"), done(ours, "me"), done(ours, "me")] == [0, 1, 2, 3]
    assert len(reads) == 1
    # A failure may end the work, so it is looked at.
    assert done(ours, "me", TrialState.FAIL) == 4 and done(ours, "me") == 5
    assert len(reads) == 2


@pytest.mark.parametrize("storage", [None, "sqlite"])
def test_an_old_read_gives_no_slot_too_many(storage: str | None, tmp_path: Path) -> None:
    ours, other = two(tmp_path, 4, storage and f"sqlite:///{tmp_path / 's.db'}")
    beats(ours, "me"), beats(other, "you")
    assert done(ours, "me") == 0
    assert [done(other, "you") for _ in range(4)] == [1, 2, 3, None]
    assert done(ours, "me") is None
    assert [trial.state.name for trial in ours.study.trials] == ["COMPLETE"] * 4


def test_a_dead_workers_slot_is_found_by_who_has_read_long_ago(tmp_path: Path) -> None:
    ours, other = two(tmp_path, 3)
    beats(ours, "me"), beats(other, "dead", started=999.0)
    assert done(ours, "me") == 0
    lost = other.claim("dead")
    assert lost is not None and lost.number == 1
    assert [done(ours, "me") for _ in range(3)] == [2, 3, None]
    trials = ours.study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert len(slot_holders(trials)) == 3 and trials[3].user_attrs["retry_of"] == 1


def test_a_lost_answer_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = two(tmp_path, 9)
    beats(ours, "me")
    assert done(ours, "me") == 0
    begin = TrialQueue._begin

    def lost(self: TrialQueue, attrs: dict[str, Any]) -> Any:
        monkeypatch.setattr(TrialQueue, "_begin", begin)
        begin(self, attrs)
        self.held.clear()
        raise ConnectionError("the answer does not come")

    monkeypatch.setattr(TrialQueue, "_begin", lost)
    found = ours.claim("me")
    assert found is not None and found.number == 1 and len(ours.study.trials) == 2


def test_what_a_crashed_database_lost_is_written_again(tmp_path: Path) -> None:
    """A drawn value that was not on the disk yet."""
    ours, _ = two(tmp_path, 2, f"sqlite:///{tmp_path / 's.db'}")
    beats(ours, "me")
    claimed = ours.claim("me")
    assert claimed is not None
    trial = optuna.Trial(ours.study, trial_id(claimed))
    drawn = trial.suggest_float("x", 0, 1)
    with ours.study._storage._backend.engine.begin() as database:  # type: ignore[attr-defined]
        database.exec_driver_sql("delete from trial_params")
    assert ours.tell(trial, "me", TrialState.COMPLETE, [1.0])
    assert ours.study.trials[0].params == {"x": drawn}


def test_a_worker_that_is_found_dead_while_it_tells_is_not_told(tmp_path: Path) -> None:
    """It has read its running trial, and waits for the lock that its slot is freed under."""
    ours, other = two(tmp_path, 1)
    beats(ours, "slow", started=999.0)
    claimed = ours.claim("slow")
    assert claimed is not None
    enter = ours.lock.__class__.__enter__

    class Late(ours.lock.__class__):  # type: ignore[name-defined]
        def __enter__(self) -> None:
            assert other.recover() == [0]
            enter(self)

    ours.lock.__class__ = Late
    assert not ours.tell(optuna.Trial(ours.study, trial_id(claimed)), "slow", TrialState.COMPLETE, [1.0])
    assert [trial.state.name for trial in ours.study.trials] == ["FAIL", "WAITING"]
