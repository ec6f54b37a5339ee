"""A table's verdicts over examples, from predictions of its runs."""

from __future__ import annotations

import json
import math
import sys

import pytest
from tests.analysis.synthetic import predict
from tests.analysis.tables.made import make_plan, write_run, write_table

from exp import table as command
from exp.analysis.tables import footer, render
from exp.analysis.tables.results import results

LABELS = ["yes" if number % 2 else "no" for number in range(100)]


def answers(wrong):
    return [{"yes": "no", "no": "yes"}[label] if at in wrong else label for at, label in enumerate(LABELS)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("over")
    columns = {"reviews": {"overrides": ["data=reviews"], "metric": "accuracy"}}
    rows = {"slow": {"overrides": ["optimizer.lr=1e-5"]}, "fast": {"overrides": ["optimizer.lr=1e-3"]}}
    published = {"slow": {"reviews": 80.0}, "fast": {"reviews": 75.0}}
    table = write_table(root / "mine.yaml", rows=rows, columns=columns, published=published, tolerance=..., widest=12)
    for number, job in enumerate(make_plan(table).jobs):
        run = write_run(root / "runs" / str(number), job, accuracy=0.8)
        if job.row == "slow":
            predict(run, LABELS, answers(range(20)))
            record = json.loads((run.folder / "run.json").read_text())
            record["data"] |= {"metrics": ["accuracy"], "label_names": ["no", "yes"]}
            (run.folder / "run.json").write_text(json.dumps(record))
    return table, root


def test_the_error_over_examples_is_that_of_the_predictions(runs):
    table, root = runs
    made = make_plan(table, root / "runs", over="examples")
    slow, fast = results(made)
    assert slow.verdict.word == "reproduced" and slow.verdict.why.startswith("over 100 examples: ")
    half = (slow.verdict.high - slow.verdict.low) / 2
    assert half == pytest.approx(1.972 * 100 * math.sqrt(2 * 0.8 * 0.2 / 99), rel=1e-3)
    assert fast.verdict.word == "not judged" and "left no predictions/eval.parquet" in fast.verdict.why
    assert any("verdicts, over examples and not over seeds" in line for line in footer.lines(made, [slow, fast]))
    [both, _] = results(make_plan(table, root / "runs", over="both"))
    assert both.verdict.why.startswith("over seeds and 100 examples: ")


def test_over_is_a_word_of_the_command(runs, capsys, monkeypatch):
    table, root = runs
    words = [table, f"sources=[{root}/runs]", f"folder={root}/out", "render_only=true"]
    monkeypatch.setattr(sys, "argv", ["exp.table", *words, "over=examples", f"publish={root}/hub"])
    assert command.main() == 0
    told = capsys.readouterr().out
    assert "over 100 examples: 95% prediction interval for other examples" in told
    assert "wrote the Hub's files of 2 rows" in told and (root / "hub" / "slow" / "README.md").is_file()
    monkeypatch.setattr(sys, "argv", ["exp.table", table, "over=rows"])
    with pytest.raises(SystemExit):
        command.main()
    assert "over=rows: it takes one of seeds, examples, both" in capsys.readouterr().err


def test_unverified_values_are_marked(tmp_path):
    columns = {"reviews": {"overrides": ["data=reviews"], "metric": "accuracy"}}
    published = {"slow": {"reviews": 80.0}, "fast": {"reviews": {"value": 90.0, "unverified": False}}}
    made = make_plan(write_table(tmp_path / "t.yaml", columns=columns, published=published, unverified=True))
    found = results(made)
    assert [render.published(made.table, one) for one in found] == ["80 unverified", "90"]
    assert "UNVERIFIED: nobody has read 1 of 2 published values" in "\n".join(footer.lines(made, found))
