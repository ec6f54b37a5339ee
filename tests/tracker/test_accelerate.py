from __future__ import annotations

import sys
import types

import pytest

from exp.errors import ExpError
from exp.tracker.accelerate import AccelerateTracker
from tests.tracker.folders import leave_results, new_run


@pytest.fixture
def dvclive(monkeypatch, tmp_path):
    """What Accelerate's DVCLiveTracker calls of the package dvclive, remembered."""
    calls = []

    class Live:
        step = 0

        def __init__(self, **options):
            calls.append(("start", options))

        def log_params(self, values):
            calls.append(("params", values))

        def log_metric(self, key, value):
            calls.append((self.step, key, value))

        def next_step(self):
            pass

        def end(self):
            calls.append(("end",))

    class Metric:
        @staticmethod
        def could_log(value):
            return True

    package = types.ModuleType("dvclive")
    package.__spec__ = types.SimpleNamespace(name="dvclive")  # type: ignore[assignment]
    package.Live = Live
    plots = types.ModuleType("dvclive.plots")
    plots.Metric = Metric
    monkeypatch.setitem(sys.modules, "dvclive", package)
    monkeypatch.setitem(sys.modules, "dvclive.plots", plots)
    return calls


def test_numbers_config_and_best_values_reach_accelerates_own_class(dvclive, tmp_path):
    run = new_run(tmp_path / "run")
    run.update(logged_until=10)
    tracker = AccelerateTracker(name="dvclive", project="exp", options={"dir": "live"}, finish_timeout=30)
    tracker.start(run)
    tracker.log({"train/loss": 1.0}, step=10, epoch=0.5)  # sent before the resume
    tracker.log({"train/loss": 0.5}, step=20, epoch=1.0)
    leave_results(run)
    tracker.finish("completed")
    assert dvclive[0] == ("start", {"dir": "live"}) and dvclive[-1] == ("end",)
    assert dvclive[1][1]["optimizer.lr"] == 1e-4 and dvclive[1][1]["condition"] == run.condition
    numbers = {(step, key): value for step, key, value in dvclive[2:-1]}
    assert numbers[20, "train/loss"] == 0.5 and (10, "train/loss") not in numbers
    assert numbers[20, "best/accuracy"] == 0.75 and numbers[20, "completed"] == 1.0


def test_a_missing_package_is_named():
    with pytest.raises(ExpError, match=r"name=comet_ml needs the package comet-ml: pip install comet-ml"):
        AccelerateTracker(name="comet_ml", project="exp", options={}, finish_timeout=1.0)
