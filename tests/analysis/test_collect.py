"""Sources to runs; one bad run never hides the others."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

from exp.analysis import collect as module
from exp.analysis.collect import collect
from exp.analysis.run_data import RunData, read_run
from exp.curves.verdict import Thresholds
from exp.errors import ExpError

spec = importlib.util.spec_from_file_location("synthetic", Path(__file__).with_name("synthetic.py"))
synthetic = importlib.util.module_from_spec(spec)
spec.loader.exec_module(synthetic)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EXP_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_folders_globs_and_overlaps(tmp_path):
    synthetic.grid(tmp_path / "a" / "sweep")
    whole = collect([str(tmp_path)])
    assert len(whole.runs) == 6 and whole.problems == []
    assert len(collect([str(tmp_path / "a" / "sweep" / "*-1")]).runs) == 2
    assert len(collect([str(tmp_path), str(tmp_path / "a")]).runs) == 6
    assert len(collect([str(tmp_path / "a" / "sweep" / "5e-05-1")]).runs) == 1


def test_bad_runs_are_named_and_hide_nothing(tmp_path):
    synthetic.write(tmp_path / "good")
    half = synthetic.write(tmp_path / "half", seed=2).folder / "run.json"
    half.write_text(half.read_text()[:200])
    newer = synthetic.write(tmp_path / "newer", seed=3)
    newer.update(schema=99)
    (tmp_path / "claimed" / ".hydra").mkdir(parents=True)
    odd = synthetic.write(tmp_path / "odd", seed=4).folder / "result.json"
    odd.write_text('{"best": 3}')
    (tmp_path / "empty").mkdir()
    found = collect([str(tmp_path), str(tmp_path / "empty")])
    assert {run.seed: run.notes for run in found.runs} == {
        1: (),
        4: ("no readable result.json; best and last come from metrics.jsonl",),
    }
    why = {Path(problem.source).name: problem.why for problem in found.problems}
    assert "no readable JSON" in why["half"]
    assert "newer exp (schema 99" in why["newer"]
    assert why["claimed"] == "was started but left no run.json"
    assert why["empty"] == "holds no run"


def test_unknown_newer_fields_and_a_half_written_last_line_are_read_over(tmp_path):
    run = synthetic.write(tmp_path / "r", status="running")
    run.update(colour="blue")
    with run.metrics_path.open("a") as file:
        file.write('{"step": 400, "epoch": 4.0, "time": 1, "metr')
    told = read_run(tmp_path / "r")
    assert told.status == "running"  # this process wrote it and lives
    assert told.best["eval/accuracy"].value == 0.8 and told.last["eval/accuracy"].step == 300


def test_a_run_whose_process_is_gone_has_died(tmp_path):
    run = synthetic.write(tmp_path / "r", status="running")
    run.update(pid=2**22 + 1)  # above Linux' largest pid
    assert read_run(tmp_path / "r").status == "died"
    run.update(pid=os.getpid())
    assert read_run(tmp_path / "r").status == "running"
    run.update(started=1.0)  # the id is another process's by now
    assert read_run(tmp_path / "r").status == "died"
    run.update(host="elsewhere")
    assert read_run(tmp_path / "r").status == "running"


def test_a_completed_run_without_result_says_so(tmp_path):
    synthetic.write(tmp_path / "r", result=False)
    told = read_run(tmp_path / "r")
    assert told.best["eval/accuracy"].value == 0.8
    assert "result.json" in told.notes[0]


def test_what_does_not_exist_is_an_error_with_the_nearest(tmp_path):
    (tmp_path / "outputs").mkdir()
    with pytest.raises(ExpError, match="did you mean 'outputs'"):
        collect([str(tmp_path / "output")])
    with pytest.raises(ExpError, match="nothing matches"):
        collect([str(tmp_path / "x*")])
    with pytest.raises(ExpError, match="holds no run"):
        collect([str(tmp_path / "outputs")])


def test_a_copied_run_counts_once(tmp_path):
    import shutil

    synthetic.write(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    found = collect([str(tmp_path)])
    assert len(found.runs) == 1
    assert "again, counted once" in found.problems[0].why


def test_the_index_notices_changes_and_may_be_deleted_or_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "INDEX_FROM", 1)
    index = tmp_path / "index.sqlite"
    for seed in (1, 2):
        synthetic.write(tmp_path / "runs" / str(seed), seed=seed)

    def read():
        return {run.seed: run for run in collect([str(tmp_path / "runs")], index).runs}

    fresh = read()
    reads = []
    monkeypatch.setattr(module, "read_run", lambda folder: reads.append(folder) or read_run(folder))
    assert read() == fresh and reads == []
    record = tmp_path / "runs" / "1" / "run.json"
    text = json.loads(record.read_text()) | {"status": "failed"}
    record.write_text(json.dumps(text))
    assert read()[1].status == "failed" and len(reads) == 1
    index.write_bytes(b"my thesis" * 1000)
    with pytest.raises(ExpError, match="is no index of runs"):
        read()
    assert index.read_bytes() == b"my thesis" * 1000
    index.unlink()
    assert read()[2] == fresh[2]
    with pytest.raises(ExpError, match="/proc/nowhere/index cannot be used"):
        collect([str(tmp_path / "runs")], Path("/proc/nowhere/index"))


def test_a_run_survives_json(tmp_path):
    synthetic.write(tmp_path / "r", accuracy=(0.7, float("nan")))
    run = read_run(tmp_path / "r")
    again = RunData.from_json(json.loads(json.dumps(run.to_json())))
    assert again.best == run.best and again.config == run.config and again.source == run.source


def test_runs_of_the_first_version_are_read_as_those_of_this_one(tmp_path):
    synthetic.write(tmp_path / "old", first_version=True)
    synthetic.write(tmp_path / "new")
    old, new = (collect([str(tmp_path / name)]).runs[0] for name in ("old", "new"))
    assert "task._target_" not in old.config and "task._target_" in new.config
    assert old.best == new.best and old.task == new.task == "mrpc"
    assert old.facts().chance_loss == new.facts().chance_loss
    level, error = old.facts().floors["accuracy"]
    assert new.facts().floors["accuracy"] == (level, pytest.approx(error, abs=1e-4))
    assert old.verdict(Thresholds()) == new.verdict(Thresholds())
    assert old.reading() == new.reading()
