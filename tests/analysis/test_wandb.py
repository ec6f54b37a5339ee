"""W&B both ways: offline logs through its own tool, projects through the real wandb.Api and a local server."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exp.analysis.collect import collect
from exp.analysis.collection import Collection
from exp.analysis.grouping import compare
from exp.errors import ExpError

OFFLINE = """
import json, sys, wandb
folder, id, part, condition, job = sys.argv[1:]
run = wandb.init(mode="offline", project="p", group="g", id=id, dir=folder, job_type=job or None,
    config={"optimizer": {"lr": 1e-4}, "seed": 3, "data": {"name": "mrpc"}, "condition": condition},
    settings=wandb.Settings(silent=True, console="off"))
for i in json.loads(part):
    run.log({"train/loss": 1 / i, "step": i * 10, "epoch": i / 5})
    value = float("nan") if i == 2 else 0.5 + i / 20
    run.log({"eval/loss": 1 / i, "eval/accuracy": value, "step": i * 10, "epoch": i / 5})
if part != "[5]":
    run.summary["status"] = "interrupted"
else:
    run.summary["status"] = "completed"
run.finish()
"""


def sibling(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_offline(folder, id, part, condition="c0ffee", job=""):
    folder.mkdir(parents=True, exist_ok=True)
    quiet = os.environ | {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}
    code = [sys.executable, "-c", OFFLINE, str(folder), id, json.dumps(part), condition, job]
    subprocess.run(code, check=True, env=quiet, capture_output=True)


@pytest.mark.slow
def test_an_offline_run_is_read_and_a_resumed_one_is_one_run(tmp_path):
    write_offline(tmp_path / "a", "abc", [1, 2, 3, 4])
    write_offline(tmp_path / "b", "abc", [5])
    write_offline(tmp_path / "summary", "xyz", [1], job="study")  # what a sweep writes about its runs is none
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "run-broken.wandb").write_bytes(b"not a log")
    found = collect([str(tmp_path)])
    [run] = found.runs
    assert (run.id, run.seed, run.condition, run.status, run.task) == ("abc", 3, "c0ffee", "completed", "mrpc")
    assert run.config["optimizer.lr"] == 1e-4
    assert run.best["eval/accuracy"].value == 0.75 and run.best["eval/accuracy"].step == 50
    curve = run.curve()
    assert curve.get("train/loss").steps == (10, 20, 30, 40, 50)
    assert (20, "eval/accuracy") in curve.bad
    assert [problem.source for problem in found.problems] == [str(tmp_path / "c" / "run-broken.wandb")]


def rows(count, top):
    made = [{"train/loss": 1 / (i + 1), "step": i + 1, "epoch": i / count, "_runtime": i} for i in range(count)]
    made[-1] |= {"eval/accuracy": top, "eval/loss": "NaN"}
    return made


def config(seed, rate=5e-5, condition="aaaa"):
    return {"seed": seed, "optimizer": {"lr": rate}, "data": {"name": "mrpc"}, "condition": condition}


@pytest.fixture
def server(monkeypatch):
    def run(seed, top, count=10, group="g", state="finished", **rest):
        done = {"status": "completed"} if state == "finished" else {}
        return {
            "config": config(seed, **rest),
            "rows": rows(count, top),
            "group": group,
            "state": state,
            "summary": done,
        }

    runs = {
        "r1": run(1, 0.8, count=2500),
        "r2": run(2, 0.82),
        "r3": run(1, 0.85, rate=1e-4, condition="bbbb"),
        "r4": run(3, 0.9, state="crashed"),
        "r5": run(1, 0.1, group="other"),
        "r6": run(1, 0.99) | {"job": "comparison"},  # a table about runs
    }
    made = sibling("wandb_server").Server(runs)
    monkeypatch.setenv("WANDB_BASE_URL", made.url)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    yield made
    import wandb

    wandb.teardown()  # the next test in this process starts from its own settings
    made.close()


@pytest.mark.slow
def test_a_project_is_read_through_the_api_with_full_paged_history(server):
    found = collect(["wandb:me/proj/g"])
    assert [run.id for run in found.runs] == ["r1", "r2", "r3", "r4"]  # two pages of runs, the other group left out
    long = found.runs[0]
    assert len(long.events()) == 2500 and long.curve().get("train/loss").steps[-1] == 2500
    pages = [v for name, v in server.asked if name == "HistoryPage" and v["run"] == "r1"]
    assert len(pages) == 3
    assert math.isnan(long.last["eval/loss"].value)
    assert found.runs[3].status == "died"
    [task] = compare(found).tasks
    assert task.keys == ("optimizer.lr",)
    assert [len(condition.counted) for condition in task.conditions] == [1, 2]
    assert task.conditions[1].failed == 1


@pytest.mark.parametrize("source", ["wandb:proj", "wandb:a/b/c/d", "wandb:/x"])
def test_a_path_that_is_none_is_told(source):
    from exp.analysis.wandb_api import read_project

    with pytest.raises(ExpError, match="wandb:entity/project"):
        read_project(source, Collection())


@pytest.mark.slow
def test_the_comparison_becomes_a_table_run(tmp_path):
    from exp.analysis.wandb_offline import read_log

    sibling("synthetic").grid(tmp_path / "runs")
    # A process of its own: W&B keeps its settings for as long as a process lives.
    command = [sys.executable, "-m", "exp.compare", str(tmp_path / "runs"), "--log-wandb", "p"]
    offline = os.environ | {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=offline, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "wandb sync" in done.stdout
    [log] = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert len(read_log(log)["config"]["runs"]) == 6
    [table] = (tmp_path / "wandb").rglob("*.table.json")
    assert len(json.loads(table.read_text())["data"]) == 2


def test_a_logged_picture_is_no_metric():
    from exp.analysis.wandb_run import to_event

    picture = {"eval/matrix._type": "image-file", "eval/matrix.height": 540, "eval/matrix.path": "m.png"}
    event = to_event({"_step": 3, "step": 48, "epoch": 3, "eval/accuracy": 0.5, **picture})
    assert event.step == 48 and dict(event.metrics) == {"eval/accuracy": 0.5}
