"""What exact totals rest on, told once as a whole on every storage: claim, death, retry, put back, late result.

A change of Optuna's private names, or of what a storage does with them, fails here in words.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from exp.compat.optuna import trial_id
from exp.run.process import this_process
from exp.work.heartbeat import heartbeat_key
from exp.work.last_read import slot_holders
from exp.work.settings import WorkPlan
from exp.work.storage import open_storage
from exp.work.trial_queue import TrialQueue, open_queue
from tests.postgres import Postgres, postgres  # noqa: F401 (a fixture)


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | None]:
    """Its address; PostgreSQL is skipped, with the reason, where there is none."""
    if request.param == "postgresql":
        found: Postgres = request.getfixturevalue("postgres")
        yield found[0]
    else:
        yield None if request.param == "journal" else f"sqlite:///{tmp_path / 's.db'}"


def opened(storage: str | None, folder: Path, n_trials: int | None) -> TrialQueue:
    plan = WorkPlan("story", storage, folder, n_trials, only=None, retries=1, beat_every=10.0, stale_after=60.0)
    return open_queue(plan)


def beats(queue: TrialQueue, worker: str, **changed: Any) -> None:
    queue.study.set_user_attr(heartbeat_key(worker), {**this_process(), "time": time.time(), **changed})


def test_the_story_of_a_study(storage: str | None, tmp_path: Path) -> None:
    optuna.create_study(study_name="story", storage=open_storage(storage, tmp_path))
    ours, other = opened(storage, tmp_path, 3), opened(storage, tmp_path, 3)  # two processes' views
    beats(ours, "me")
    beats(other, "dead", started=999.0)
    mine, lost = ours.claim("me"), other.claim("dead")
    assert mine is not None and lost is not None and [mine.number, lost.number] == [0, 1]
    drawn = optuna.Trial(other.study, trial_id(lost)).suggest_float("x", 0, 1)
    # The dead worker's slot comes back, with what it had drawn; its own result is dropped.
    assert ours.recover() == [1]
    assert not other.tell(optuna.Trial(other.study, trial_id(lost)), "dead", TrialState.COMPLETE, [9.0])
    beats(other, "you")
    again = other.claim("you")
    assert again is not None and again.number == 2
    assert optuna.Trial(other.study, trial_id(again)).suggest_float("x", 0, 1) == drawn
    # An interrupted trial goes on under its number, whoever takes it; what it has drawn stays.
    ours.put_back(mine, "me")
    beats(other, "they")
    taken = other.claim("they")
    assert taken is not None and taken.number == 0
    trial = optuna.Trial(other.study, trial_id(taken))
    assert other.tell(trial, "they", TrialState.COMPLETE, [1.0])
    assert other.tell(trial, "they", TrialState.COMPLETE, [1.0])  # the answer was lost; told twice is told once
    assert not ours.tell(optuna.Trial(ours.study, trial_id(mine)), "me", TrialState.COMPLETE, [2.0])
    # The second death is one too many.
    beats(other, "you", started=999.0)
    assert ours.recover() == [2]
    beats(ours, "me")
    last = ours.claim("me")
    assert last is not None and last.number == 3
    assert ours.tell(optuna.Trial(ours.study, trial_id(last)), "me", TrialState.COMPLETE, [0.5])
    assert ours.claim("me") is None and other.claim("they") is None
    trials = opened(storage, tmp_path, 3).study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    assert len(slot_holders(trials)) == 3
    assert ours.study.best_value == 0.5 and ours.is_complete(trials)


def test_the_story_of_a_fixed_list(storage: str | None, tmp_path: Path) -> None:
    optuna.create_study(study_name="story", storage=open_storage(storage, tmp_path))
    ours, other = opened(storage, tmp_path, None), opened(storage, tmp_path, None)
    jobs = [{"tag": "b", "after": ["a"]}, {"tag": "a", "after": []}, {"tag": "c", "after": ["b"]}]
    ours.enqueue(jobs, lambda trial: False)
    other.enqueue(jobs, lambda trial: False)  # a second command finds them there
    for worker in ("me", "you"):
        beats(ours, worker)
    first = other.claim("me")
    assert first is not None and first.user_attrs["job"]["tag"] == "a" and len(ours.study.trials) == 3
    assert ours.claim("you") is None  # the others wait for it
    assert other.tell(optuna.Trial(other.study, trial_id(first)), "me", TrialState.COMPLETE, [0.0])
    second = ours.claim("you")
    assert second is not None and second.user_attrs["job"]["tag"] == "b"
    # A process of it dies twice: the first time costs a try, the second one ends it, and what waits for it.
    ours.put_back(second, "you", lost="process 1 of the trial died")
    third = ours.claim("you")
    assert third is not None and third.number == second.number
    ours.put_back(third, "you", lost="process 1 of the trial died")
    ours.recover()
    trials = opened(storage, tmp_path, None).study.trials
    assert {t.user_attrs["job"]["tag"]: t.state.name for t in trials} == {"a": "COMPLETE", "b": "FAIL", "c": "FAIL"}
    assert ours.is_complete(trials) and ours.claim("me") is None
    assert trials[2].user_attrs["error"] == "starts from b, which failed"
