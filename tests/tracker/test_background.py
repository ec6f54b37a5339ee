from __future__ import annotations

import threading

import pytest

from exp.tracker.background import Background
from exp.tracker.base import NullTracker
from tests.tracker.folders import new_run


class Remembers(NullTracker):
    def __init__(self, gate: threading.Event | None = None, broken: bool = False) -> None:
        self.gate, self.broken, self.calls = gate, broken, []

    def start(self, run):
        self.calls.append("start")
        if self.gate is not None:
            self.gate.wait(10)
        if self.broken:
            raise ConnectionError("no answer")

    def log(self, metrics, *, step, epoch):
        self.calls.append((step, metrics))

    def alert(self, title, text):
        self.calls.append(title)

    def finish(self, status):
        self.calls.append(status)


def life(background: Background, run, steps: int = 3) -> None:
    background.start(run)
    for step in range(steps):
        background.log({"train/loss": 1.0}, step=step, epoch=0.0)
    background.alert("unstable", "the loss jumps")


def test_every_call_arrives_in_order(tmp_path, caplog):
    tracker = Remembers()
    background = Background(tracker, "S", finish_timeout=10)
    life(background, new_run(tmp_path / "run"))
    background.finish("completed")
    numbers = [(step, {"train/loss": 1.0}) for step in range(3)]
    assert tracker.calls == ["start", *numbers, "unstable", "completed"]
    assert [record for record in caplog.records if record.name.startswith("exp")] == []


def test_a_service_that_does_not_answer_holds_up_nothing_and_what_is_lost_is_said(tmp_path, caplog):
    gate = threading.Event()
    tracker = Remembers(gate)
    background = Background(tracker, "S", finish_timeout=0.05, most_waiting=4)
    life(background, new_run(tmp_path / "run"), steps=10)  # start is on its way or waits; at most five get through
    background.finish("completed")
    gate.set()
    assert background.dropped >= 6 and tracker.calls == ["start"]
    assert "S did not take" in caplog.text and "not done within 0.05 s" in caplog.text


def test_a_service_that_fails_is_said_once_and_gets_no_more_calls(tmp_path, caplog):
    tracker = Remembers(broken=True)
    background = Background(tracker, "S", finish_timeout=10)
    life(background, new_run(tmp_path / "run"))
    background.finish("completed")
    assert tracker.calls == ["start"]
    assert caplog.text.count("S failed while starting (ConnectionError: no answer)") == 1
    assert "did not take" not in caplog.text


@pytest.mark.parametrize("later", [{"train/loss": 9.0}])
def test_numbers_are_those_of_the_call(tmp_path, later):
    tracker = Remembers()
    background = Background(tracker, "S", finish_timeout=10)
    background.start(new_run(tmp_path / "run"))
    metrics = {"train/loss": 1.0}
    background.log(metrics, step=1, epoch=0.0)
    metrics.update(later)
    background.finish("completed")
    assert tracker.calls[1] == (1, {"train/loss": 1.0})
