from __future__ import annotations

import os
import signal
from multiprocessing import get_context, util
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import pytest

from exp.work.trial_ranks import InheritedBytes

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
