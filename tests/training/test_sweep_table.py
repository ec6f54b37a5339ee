"""The last lines of a plain --multirun."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exp.run.folder import create
from exp.run.result import Result, write_result
from exp.training.sweep_table import told


def run(folder: Path, words: list[str], value: float | None) -> None:
    folder.mkdir(parents=True)
    made = create(folder, {"seed": 1, "tracker": {}})
    made.update(words=words)
    if value is not None:
        point = {"eval/accuracy": {"value": value, "step": 20}}
        write_result(made.result_path, Result("completed", {"name": "eval/accuracy"}, point, point, {}))
    made.finish("failed" if value is None else "completed")


def test_runs_by_number_with_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    sweep = tmp_path / "multirun" / "a b"
    run(sweep / "2", ["data=mrpc", "seed=2"], 0.75)
    run(sweep / "10", ["data=mrpc", "seed=10"], None)
    head, first, second, last = told(sweep, 0.0).splitlines()[1:]
    assert head.split() == ["run", "what", "differs", "status", "best", "step"]
    assert first.split()[2:] == ["seed=2", "completed", "eval/accuracy", "0.7500", "20"]
    assert second.split()[2:] == ["seed=10", "failed", "-", "-"]
    assert last == "compare: python -m exp.compare 'multirun/a b'"
    assert told(sweep, json.loads((sweep / "2" / "run.json").read_text()) and 4e9) == ""


def test_nothing_is_said_of_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "sweep" / "0" / ".hydra").mkdir(parents=True)
    assert told(tmp_path / "sweep", 0.0) == ""
