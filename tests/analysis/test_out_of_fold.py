"""Runs of a cross-validation, joined to one table."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.conformance.task_data import TASKS

from exp.analysis.collect import collect
from exp.analysis.grouping import compare
from exp.analysis.out_of_fold import join
from exp.errors import ExpError
from exp.folds import folds
from exp.run.result import write_result
from exp.testing.loops import run_loop


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three folds of the reviews, trained for two steps each, with the parts of each."""
    folder = tmp_path_factory.mktemp("kfold")
    found = []
    for seed in range(3):
        words = ["folds=3", f"seed={seed}", "init_seed=42", "max_steps=2", "data.max_eval_samples=null"]
        _, result, parts, run = run_loop(folder / str(seed), *words)
        run.finish(result.status, result.reason)
        write_result(run.result_path, result)
        found.append(parts)
    return folder, found


def test_every_train_row_is_predicted_once(runs, capsys):
    folder, parts = runs
    folds([str(folder)], None)
    (file,) = folder.glob("out_of_fold-*.parquet")
    table = pq.read_table(file)
    assert table.column_names[:3] == ["fold", "run", "id"]
    ids = table["id"].to_pylist()
    expected = [str(one) for part in parts for one in part.data.evals[""].ids]
    assert ids == expected and len(set(ids)) == len(ids)
    for number, part in enumerate(parts):
        own = {str(one) for one in part.data.evals[""].ids}
        assert own == {row["id"] for row in table.select(["fold", "id"]).to_pylist() if row["fold"] == number}
        assert not own & {str(one) for one in part.data.train.ids}
    said = capsys.readouterr().out
    assert "rows of 3 folds" in said and f"wrote {file}" in said


def test_a_glob_is_no_folder_to_write_into(runs, tmp_path):
    with pytest.raises(ExpError, match=r"\* is no folder to write into; name one with out="):
        folds([str(runs[0] / "*")], None)
    folds([str(runs[0] / "*")], tmp_path / "new")
    assert len(list((tmp_path / "new").iterdir())) == 1 and not (runs[0] / "*").exists()


def test_the_joined_score_is_that_of_all_rows(runs):
    (found,) = join(collect([str(runs[0])]).runs)
    right = np.array(found.table["label"].to_pylist()) == np.array(found.table["prediction"].to_pylist())
    assert found.joined["accuracy"] == pytest.approx(right.mean()) and len(found.folds["accuracy"]) == 3
    sizes = [len(part.data.evals[""]) for part in runs[1]]
    assert found.joined["accuracy"] == pytest.approx(np.average(found.folds["accuracy"], weights=sizes))


def test_folds_are_one_condition(runs):
    comparison = compare(collect([str(runs[0])]), sources=[str(runs[0])])
    (condition,) = comparison.tasks[0].conditions
    assert len(condition.counted) == 3


def test_a_missing_fold_and_no_fold_are_told(runs, tmp_path):
    with pytest.raises(ExpError, match=r"fold 2 of 3 is not complete"):
        join(collect([str(runs[0] / "0"), str(runs[0] / "1")]).runs)
    run_loop(tmp_path / "plain", "max_steps=1")
    with pytest.raises(ExpError, match="no completed run here has folds"):
        join(collect([str(tmp_path)]).runs)


def test_lines_of_one_text_have_no_folds(tmp_path):
    words = [*TASKS["causal_lm"](tmp_path), "task.between_rows=line_break", "folds=3", "seed=0"]
    with pytest.raises(ExpError, match="folds=3 deals rows to folds, and here they are parts of one text"):
        run_loop(tmp_path / "run", *words)
