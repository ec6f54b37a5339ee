from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exp.task.pictures import Confusion, Scatter
from exp.tracker.media import best_values, costs, outcomes, pictures
from tests.reading import CONF
from tests.tracker.folders import leave_results, new_run, with_task, write_predictions

SCORES = {"label_names": None, "metrics": ["pearson"]}


@pytest.mark.parametrize("config", [None, with_task()], ids=["first version", "task"])
def test_outcomes_of_every_labelled_split(tmp_path, config):
    run = new_run(tmp_path / "run") if config is None else new_run(tmp_path / "run", config=config)
    leave_results(run)
    # test has no labels
    assert outcomes(run) == [("eval", Confusion(["no", "yes"], [[1, 1], [0, 2]]))]


def test_classes_stand_in_the_datas_order_with_those_never_seen(tmp_path):
    run = new_run(tmp_path / "run", config=with_task())
    leave_results(run)
    run.update(data={"label_names": ["yes", "no", "maybe"], "metrics": ["accuracy"]})
    assert outcomes(run) == [("eval", Confusion(["yes", "no", "maybe"], [[2, 0, 0], [1, 1, 0], [0, 0, 0]]))]


def test_scores_are_points(tmp_path):
    run = new_run(tmp_path / "run", config=with_task(problem_type="regression"))
    run.update(data=SCORES)
    run.predictions.mkdir()
    write_predictions(run, "eval", [1.0, 2.0, 4.5], [1.5, 2.0, 4.0])
    assert outcomes(run) == [("eval", Scatter([(1.0, 1.5), (2.0, 2.0), (4.5, 4.0)]))]
    assert list(pictures(run)) == ["eval/scatter"]


def test_tags_are_counted_word_by_word(tmp_path):
    from omegaconf import OmegaConf

    task = OmegaConf.to_container(OmegaConf.load(CONF / "task" / "token_classification.yaml"))
    run = new_run(tmp_path / "run", config={"seed": 1, "task": task})
    run.update(data={"label_names": ["O", "B-x", "I-x"], "metrics": ["entity_f1"], "inputs": ["tokens"]})
    run.predictions.mkdir()
    rows = {"label": [["O", "B-x"], ["O"]], "prediction": [["O", "O"], ["O"]]}
    pq.write_table(pa.table(rows), run.predictions / "eval.parquet")
    assert outcomes(run) == [("eval", Confusion(["O", "B-x", "I-x"], [[2, 0, 0], [1, 0, 0], [0, 0, 0]]))]


def test_pictures_show_the_counts(tmp_path):
    run = new_run(tmp_path / "run")
    run.update(data={"label_names": ["a", "b"], "metrics": ["accuracy"]})
    run.predictions.mkdir()
    write_predictions(run, "eval", ["a", "b"], ["a", "b"])
    drawn = pictures(run)
    assert list(drawn) == ["eval/confusion_matrix"]
    pixels = np.asarray(drawn["eval/confusion_matrix"])
    blue = pixels[..., 2].astype(int) - pixels[..., 0]
    assert 0.05 < (blue > 80).mean() < 0.6  # two of the four cells are filled


def test_many_points_are_thinned_out(tmp_path):
    run = new_run(tmp_path / "run")
    run.update(data=SCORES)
    run.predictions.mkdir()
    values = [float(index) for index in range(12_000)]
    write_predictions(run, "sts", values, values)
    ((_, scatter),) = outcomes(run)
    assert len(scatter.pairs) == 4000
    assert scatter.pairs[-1][0] > 11_990


def test_a_run_that_failed_before_its_data_were_read_has_no_pictures(tmp_path):
    assert pictures(new_run(tmp_path / "run", config=with_task())) == {}


def test_best_values_drop_the_usual_prefix_and_unknown_values(tmp_path):
    run = new_run(tmp_path / "run")
    assert best_values(run) == costs(run) == {}  # a run that failed early has no result
    leave_results(run)
    assert best_values(run) == {"best/accuracy": 0.75, "best/eval_mm/accuracy": 0.5}
    assert costs(run) == {"cost/train_seconds": 1.5}
