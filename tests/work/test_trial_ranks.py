from __future__ import annotations

import os
import signal
import time
from multiprocessing import get_context, util
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import pytest

from exp.run.process import lives, this_process
from exp.work import trial_ranks
from exp.work.trial_ranks import InheritedBytes, end_with_worker
from tests.study.conftest import until

MANY = os.urandom(2**20)  # sixteen times what a pipe holds


def answer(given: bytes, to: Connection) -> None:
    to.send(given)


def test_several_processes_inherit_the_same_bytes() -> None:
    spawn = get_context("spawn")
    shared, pipes = InheritedBytes(MANY), [spawn.Pipe() for _ in range(2)]
    processes = [spawn.Process(target=answer, args=(shared, theirs)) for _, theirs in pipes]
    for process in processes:
        process.start()
    assert [ours.recv() for ours, _ in pipes] == [MANY, MANY]
    for process in processes:
        process.join()


def test_a_process_that_is_killed_before_it_reads_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    real = util.spawnv_passfds

    def stillborn(*words: Any) -> int:
        number = real(*words)
        os.kill(number, signal.SIGKILL)
        return number

    monkeypatch.setattr(util, "spawnv_passfds", stillborn)
    process = get_context("spawn").Process(target=answer, args=(InheritedBytes(MANY), None))
    starting = Thread(target=process.start, daemon=True)
    starting.start()
    starting.join(30)
    assert not starting.is_alive()  # as it would be for ever, in Python before 3.13.8, with the bytes themselves
    process.join()
    assert process.exitcode == -signal.SIGKILL


def rank(to: Connection) -> None:
    Thread(target=end_with_worker, daemon=True).start()
    to.send(this_process())
    time.sleep(100)


def worker(to: Connection) -> None:
    process = get_context("spawn").Process(target=rank, args=(to,))
    process.start()
    process.join()


def test_a_process_of_a_trial_ends_with_its_worker() -> None:
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=worker, args=(theirs,))
    process.start()
    below = ours.recv()
    assert lives(below)
    process.kill()
    process.join()
    until(lambda: not lives(below), 20)


def test_a_start_method_that_a_new_process_does_not_know_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """joblib's workers have one: loky."""
    seen: list[str | None] = ["loky"]
    monkeypatch.setattr(trial_ranks.multiprocessing, "get_start_method", lambda allow_none: seen[-1])
    monkeypatch.setattr(trial_ranks.multiprocessing, "set_start_method", lambda name, force: seen.append(name))
    with trial_ranks._known_start_method():
        assert seen == ["loky", None]
    assert seen == ["loky", None, "loky"]
    seen[:] = ["spawn"]
    with trial_ranks._known_start_method():
        assert seen == ["spawn"]
