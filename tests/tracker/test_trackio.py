from __future__ import annotations

import importlib.util
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from exp.errors import ExpError
from exp.tracker.trackio import Trackio
from tests import forked

# trackio reads TRACKIO_DIR once, at its import, so it is imported in processes of their own here; forks have not.
pytestmark = pytest.mark.skipif(not importlib.util.find_spec("trackio"), reason="the extra trackio is missing")

TRAIN = """
import json, sys
from pathlib import Path
from exp.run.folder import Run, create, reopen
from exp.tracker.trackio import Trackio
from tests.tracker.folders import CONFIG, leave_results, new_run

folder, options, steps, status, logged_until = json.loads(sys.argv[1])
folder = Path(folder)
run = reopen(folder, CONFIG) if (folder / "run.json").exists() else new_run(folder, "lr-study")
if logged_until is not None:
    run.update(logged_until=logged_until)
tracker = Trackio(**options)
tracker.start(run)
for step in steps:
    tracker.log({"train/loss": 1 / step}, step=step, epoch=step / 10)
tracker.alert("overfitting", "loss went up")
tracker.alert("overfitting", "loss went up")
if status == "completed":
    leave_results(run)
run.finish(status, "no space left" if status == "failed" else None)
tracker.finish(status)
print(run.id)
"""


@pytest.fixture
def store(tmp_path) -> dict[str, str]:
    return {**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio"), "HOME": str(tmp_path)}


def options(**changes):
    chosen = yaml.safe_load((Path(__file__).parents[2] / "conf" / "tracker" / "trackio.yaml").read_text())
    del chosen["_target_"]
    return {**chosen, **changes}


def train(store, folder: Path, *, steps=(10, 20), status="completed", logged_until=None, **changes) -> str:
    words = json.dumps([str(folder), options(**changes), list(steps), status, logged_until])
    root = Path(__file__).parents[2]
    env = {**store, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    done = subprocess.run([forked.python(), "-c", TRAIN, words], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, done.stdout  # trackio itself prints nothing
    return done.stdout.strip()


def listed_runs(store) -> list[str]:
    """By trackio's own command."""
    words = [sys.executable, "-m", "trackio.cli", "list", "runs", "--project", "exp", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, env=store)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["runs"]


def query(store, table: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(Path(store["TRACKIO_DIR"]) / "exp.db")) as base:
        base.row_factory = sqlite3.Row
        return base.execute(f"select * from {table} order by id").fetchall()


def rows(store, key: str) -> list[tuple[int, float]]:
    found = [(row["step"], json.loads(row["metrics"])) for row in query(store, "metrics")]
    return [(step, metrics[key]) for step, metrics in found if key in metrics]


@pytest.mark.slow  # processes of its own
def test_numbers_group_config_best_values_and_pictures_are_found_by_its_own_command(store, tmp_path):
    run_id = train(store, tmp_path / "run")
    assert listed_runs(store) == [f"{tmp_path.name}/run {run_id}"]  # after the name that W&B shows
    assert rows(store, "train/loss") == [(10, 0.1), (20, 0.05)]
    assert rows(store, "epoch") == [(10, 1.0), (20, 2.0)]
    assert rows(store, "best/accuracy") == [(20, 0.75)]
    (config,) = [json.loads(row["config"]) for row in query(store, "configs")]
    assert (config["_Group"], config["optimizer"]["lr"]) == ("lr-study", 1e-4)
    assert len(config["condition"]) == 12
    ((_, picture),) = rows(store, "eval/confusion_matrix")
    assert (Path(store["TRACKIO_DIR"]) / "media" / picture["file_path"]).exists()
    assert [row["title"] for row in query(store, "alerts")] == ["overfitting"]  # once


@pytest.mark.slow  # processes of its own
def test_a_run_that_goes_on_is_the_same_run_and_no_step_comes_twice(store, tmp_path):
    train(store, tmp_path / "run", steps=(10, 20, 30), status="interrupted")
    train(store, tmp_path / "run", steps=(20, 30, 40), logged_until=30)
    assert [step for step, _ in rows(store, "train/loss")] == [10, 20, 30, 40]
    assert len({row["run_id"] for row in query(store, "metrics")}) == 1


@pytest.mark.slow  # processes of its own
def test_an_end_other_than_completed_is_an_alert_with_the_reason(store, tmp_path):
    train(store, tmp_path / "run", status="failed")
    alerts = [(row["title"], row["text"]) for row in query(store, "alerts")]
    assert alerts[-1] == ("run failed", "no space left")


def test_without_the_package_it_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExpError, match=re.escape("pip install 'exp[trackio]'")):
        Trackio(**options())
