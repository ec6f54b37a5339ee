"""One suite for every tracker: what a training may rely on, whatever stands behind it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from exp.options.confdir import conf_dir
from exp.run.events import read_events
from exp.run.folder import STATUSES
from exp.testing import trackers
from exp.tracker.base import Fanout, NullTracker
from exp.tracker.jsonl import JsonlTracker
from exp.tracker.mlflow import MLflow
from exp.tracker.tensorboard import TensorBoard
from exp.tracker.trackio import Trackio
from exp.tracker.wandb import Wandb
from tests.tracker.folders import history, leave_results, new_run, wandb_folders
from tests.tracker.surroundings import nobody_logged_in

ENDS = [status for status in STATUSES if status != "running"]


def options(name: str) -> dict:
    chosen = yaml.safe_load((Path(conf_dir()) / "tracker" / f"{name}.yaml").read_text())
    del chosen["_target_"]
    return chosen


def a_trackio() -> Trackio:
    pytest.importorskip("trackio", reason="the extra trackio is not installed")
    return Trackio(**options("trackio"))


def a_wandb() -> Wandb:
    return Wandb(**options("wandb"))


def a_tensorboard() -> TensorBoard:
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    return TensorBoard(**options("tensorboard"))


def an_mlflow() -> MLflow:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    return MLflow(**options("mlflow"))


MAKERS = {
    "null": NullTracker,
    "jsonl": JsonlTracker,
    "wandb": a_wandb,
    "trackio": a_trackio,
    "tensorboard": a_tensorboard,
    "mlflow": an_mlflow,
    "fanout": lambda: Fanout(JsonlTracker(), [a_wandb(), NullTracker()]),
    "fanout of one": lambda: Fanout(JsonlTracker(), []),
}


@pytest.fixture(autouse=True)
def _offline(tmp_path_factory, monkeypatch):
    with nobody_logged_in(tmp_path_factory.mktemp("home"), monkeypatch):
        monkeypatch.setenv("WANDB_MODE", "offline")
        yield


@pytest.fixture(scope="session")
def _stores(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:  # trackio reads it once, at its import
        patch.setenv("TRACKIO_DIR", str(tmp_path_factory.mktemp("trackio")))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}")
        yield


@pytest.fixture(params=MAKERS)
def tracker(request, _stores):
    return MAKERS[request.param]()


@pytest.mark.parametrize("status", ENDS)
def test_a_whole_life(tracker, tmp_path, status, capfd, caplog, recwarn):
    run = new_run(tmp_path / "run")
    tracker.start(run)
    tracker.log({"train/loss": 0.7, "train/lr": 1e-4, "train/grad_norm": 2.0}, step=1, epoch=0.5)
    tracker.log({"train/loss": math.nan, "train/grad_norm": math.inf}, step=2, epoch=1.0)
    tracker.log({"eval/accuracy": 0.5, "eval_mm/accuracy": 0.5}, step=2, epoch=1.0)
    tracker.alert("unstable", "the loss jumps")
    if status in ("completed", "pruned"):
        leave_results(run, status)
    run.finish(status)
    assert tracker.finish(status) is None
    assert capfd.readouterr().out == ""  # stdout is the entry's
    assert "failed while" not in caplog.text
    assert not [str(one.message) for one in recwarn if "trackio" in str(one.message)]


@pytest.mark.parametrize(
    "promise",
    [trackers.a_run_without_a_number, trackers.the_numbers_given_are_not_changed, trackers.one_run_after_another],
)
def test_the_promises_of_every_tracker(promise, tracker, tmp_path):
    promise(lambda: tracker, tmp_path)


def test_a_fanout_gives_every_tracker_the_same_numbers(tmp_path):
    run = new_run(tmp_path / "run")
    fanout = MAKERS["fanout"]()
    fanout.start(run)
    for step in (1, 2):
        fanout.log({"train/loss": 1 / step}, step=step, epoch=step / 2)
    fanout.finish("completed")
    written = [{**event.metrics, "step": event.step, "epoch": event.epoch} for event in read_events(run.metrics_path)]
    assert (
        written
        == list(history(wandb_folders(run)[0]))
        == [
            {"train/loss": 1.0, "step": 1, "epoch": 0.5},
            {"train/loss": 0.5, "step": 2, "epoch": 1.0},
        ]
    )


class Broken(NullTracker):
    """A user's tracker with a bug in one of its calls."""

    def __init__(self, call):
        self.calls = []
        for name in ("start", "log", "alert", "finish"):
            setattr(self, name, self.made(name, broken=name == call))

    def made(self, name, broken):
        def call(*args, **kwargs):
            self.calls.append(name)
            if broken:
                raise RuntimeError("a bug of the user's")

        return call


@pytest.mark.parametrize("call", ["start", "log", "alert", "finish"])
def test_a_tracker_that_raises_is_dropped_and_the_others_go_on(call, tmp_path, caplog):
    run, broken, other = new_run(tmp_path / "run"), Broken(call), Broken(None)
    fanout = Fanout(JsonlTracker(), [broken, other])
    fanout.start(run)
    for step in (1, 2):
        fanout.log({"train/loss": 1.0}, step=step, epoch=1.0)
    fanout.alert("unstable", "the loss jumps")
    fanout.finish("completed")
    assert broken.calls[-1] == call and broken.calls.count(call) == 1
    assert other.calls == ["start", "log", "log", "alert", "finish"]
    assert len(read_events(run.metrics_path)) == 2
    assert caplog.text.count("Broken failed while") == 1


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["wandb"]),
        (["tracker=wandb"], ["wandb"]),
        (["tracker=none"], []),
        (["tracker=[wandb,trackio]"], ["wandb", "trackio"]),
        (["tracker=trackio"], ["trackio"]),
        (["tracker=[tensorboard,mlflow]"], ["tensorboard", "mlflow"]),
        (["tracker.wandb.mode=offline"], ["wandb"]),
    ],
)
def test_the_choice_on_the_command_line(words, names):
    with initialize_config_dir(str(conf_dir())):
        cfg = compose("train", overrides=words)
    chosen = OmegaConf.to_container(cfg.tracker)
    assert list(chosen) == names
    assert all(one["_target_"].startswith(f"exp.tracker.{name}.") for name, one in chosen.items())


def test_a_tracker_is_light_until_it_starts():
    code = (
        "import sys, exp.tracker.wandb, exp.tracker.accelerate, exp.tracker.trackio as t; t.Trackio('a', None, None);"
        + (
            "import exp.tracker.tensorboard as b, exp.tracker.mlflow as m; b.TensorBoard(1.0);"
            "m.MLflow(None, 'a', None, False, None, 1.0);"
            "heavy = {'wandb', 'trackio', 'tensorboard', 'mlflow', 'accelerate', 'torch', 'numpy', 'matplotlib'};"
            "print(*sorted(heavy & set(sys.modules)))"
        )
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
