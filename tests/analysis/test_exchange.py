"""results.json is written by exp compare and read back by it."""

from __future__ import annotations

import json

import pytest
from tests.analysis.synthetic import grid

from exp import compare as command
from exp.analysis.collect import collect
from exp.analysis.grouping import compare
from exp.errors import ExpError


def test_what_is_written_is_read_back(tmp_path, capsys):
    command.main([str(grid(tmp_path / "runs")), f"results={tmp_path}/results.json"])
    held = json.loads((tmp_path / "results.json").read_text())
    assert (held["format"], held["schema"], len(held["runs"])) == ("exp.results", 1, 6)
    cell = next(one for one in held["cells"] if one["metric"] == "eval/accuracy")
    assert (cell["task"], cell["n"], cell["seeds"]) == ("mrpc", 3, [1, 2, 3])
    assert cell["mean"] == pytest.approx(0.83) and cell["commits"] == ["0123456789abcdef"]
    assert set(cell["runs"]) <= {run["id"] for run in held["runs"]}
    [again] = compare(collect([str(tmp_path / "results.json")]), baseline="optimizer.lr=5e-5").tasks
    [first] = compare(collect([str(tmp_path / "runs")]), baseline="optimizer.lr=5e-5").tasks
    for one, other in zip(first.conditions, again.conditions, strict=True):
        assert (one.id, one.label, one.metrics, one.paired) == (other.id, other.label, other.metrics, other.paired)
    [both] = compare(collect([str(tmp_path / "results.json"), str(tmp_path / "runs")])).tasks
    assert sum(len(condition.runs) for condition in both.conditions) == 6  # a run counts once


def test_other_files_are_refused(tmp_path):
    for text, said in (
        ("{", "cannot be read as JSON"),
        ("[]", "is no results.json of exp"),
        ('{"format": "exp.results", "schema": 9}', "reads up to 1"),
        ('{"format": "exp.results", "schema": 1, "runs": [{}]}', "is damaged"),
    ):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ExpError, match=said):
            collect([str(tmp_path / "x.json")])
