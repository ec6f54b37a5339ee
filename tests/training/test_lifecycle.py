"""A run's record is true however the run ends, and whenever a signal comes."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from exp.errors import ExpError
from exp.run.folder import Run, create, read_record
from exp.run.interrupts import Interrupted
from exp.tracker.base import NullTracker
from exp.training.lifecycle import afterwards, opened, recorded

CONFIG: dict[str, Any] = {"seed": 1, "tracker": {}}


class Slow(NullTracker):
    """Is told the ending while a scheduler grows impatient."""

    def __init__(self, *signals: int) -> None:
        self.signals, self.ended = signals, ""

    def finish(self, status: str) -> None:
        for number in self.signals:
            os.kill(os.getpid(), number)
        self.ended = status


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    return create(tmp_path / "run", CONFIG)


def status(run: Run) -> tuple[str, str | None]:
    record = read_record(run.folder)
    return record["status"], record["reason"]


def test_a_signal_ends_the_body_once(run: Run) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted), recorded(run, Slow(signal.SIGTERM, signal.SIGUSR1)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert status(run) == ("interrupted", "SIGTERM")
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([], "interrupted (SIGINT); nothing saved yet; start it again with the same command"),
        ([5, 34], "interrupted (SIGINT); saved at step 34; go on with: exp train resume=run"),
    ],
)
def test_an_interrupted_run_says_how_it_goes_on(
    steps: list[int], told: str, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(run.folder.parent)
    monkeypatch.setattr(sys, "argv", ["exp train"])
    for step in steps:
        (run.checkpoints / f"step-{step:06d}").mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt), recorded(run, NullTracker()):
        os.kill(os.getpid(), signal.SIGINT)
    assert caplog.messages == [told]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_after_the_result_changes_nothing(number: int, run: Run) -> None:
    tracker = Slow(signal.SIGTERM)
    with recorded(run, tracker) as ending:
        ending.settle("completed", None, lambda: os.kill(os.getpid(), number))
        os.kill(os.getpid(), number)
    assert status(run) == ("completed", None) and tracker.ended == "completed"


def test_a_signal_while_the_last_status_is_written_changes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    update = Run.update

    def slow(self: Run, **fields: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        update(self, **fields)

    monkeypatch.setattr(Run, "update", slow)
    with pytest.raises(ValueError, match="a bug"), recorded(run, NullTracker()):
        raise ValueError("a bug")
    assert status(run) == ("failed", "ValueError: a bug")


def test_a_result_that_cannot_be_written_fails_the_run(run: Run) -> None:
    def full() -> None:
        raise OSError(28, os.strerror(28))

    with pytest.raises(ExpError, match="No space left"), recorded(run, NullTracker()) as ending:
        ending.settle("completed", None, full)
    assert status(run)[0] == "failed"


def test_what_follows_the_result_warns_and_fails_nothing(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with recorded(run, NullTracker()) as ending:
        ending.settle("completed", None, lambda: None)
        with afterwards(run, "the model card"):
            raise RuntimeError("no template")
        raise RuntimeError("whatever else")
    with afterwards(run, "the upload"):
        raise ExpError("the Hub said no")
    assert status(run) == ("completed", None)
    assert read_record(run.folder)["warnings"] == ["the model card: no template", "the upload: the Hub said no"]
    assert caplog.text.count("the run is complete, without the model card") == 1


def test_what_breaks_before_the_tracker_starts_is_recorded(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), opened(tmp_path, CONFIG):
        raise RuntimeError("a tracker that cannot be made")
    record = read_record(tmp_path)
    assert (record["status"], record["reason"]) == ("failed", "a tracker that cannot be made")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*args: Any, **kwargs: Any) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("exp.run.lock._open", read_only)
    with pytest.raises(ExpError, match=r"cannot write into .*: Read-only file system"), opened(tmp_path, CONFIG):
        pass
