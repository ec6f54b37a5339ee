from __future__ import annotations

import json

import numpy as np

from exp.tracker.media import Confusion, Scatter, best_values, costs, outcomes, pictures
from tests.tracker.folders import leave_results, new_run, write_predictions


def test_outcomes_of_every_labelled_split(tmp_path):
    run = new_run(tmp_path / "run")
    leave_results(run)
    confusion, scatter = outcomes(run)  # test has no labels
    assert confusion == Confusion("eval", ["no", "yes"], [[1, 1], [0, 2]])
    assert scatter == Scatter("sts", [(1.0, 1.5), (2.0, 2.0), (4.5, 4.0)])


def test_classes_stand_in_the_models_order_with_those_never_seen(tmp_path):
    run = new_run(tmp_path / "run")
    leave_results(run)
    run.model_folder.mkdir()
    names = {"0": "yes", "1": "no", "2": "maybe"}
    (run.model_folder / "config.json").write_text(json.dumps({"id2label": names}))
    assert outcomes(run)[0] == Confusion("eval", ["yes", "no", "maybe"], [[2, 0, 0], [1, 1, 0], [0, 0, 0]])


def test_pictures_show_the_counts(tmp_path):
    run = new_run(tmp_path / "run")
    run.predictions.mkdir()
    write_predictions(run, "eval", ["a", "b"], ["a", "b"])
    write_predictions(run, "sts", [1.0], [1.0])
    drawn = pictures(run)
    assert list(drawn) == ["eval/confusion_matrix", "sts/scatter"]
    pixels = np.asarray(drawn["eval/confusion_matrix"])
    blue = pixels[..., 2].astype(int) - pixels[..., 0]
    assert 0.05 < (blue > 80).mean() < 0.6  # two of the four cells are filled


def test_many_points_are_thinned_out(tmp_path):
    run = new_run(tmp_path / "run")
    run.predictions.mkdir()
    values = [float(index) for index in range(12_000)]
    write_predictions(run, "sts", values, values)
    (scatter,) = outcomes(run)
    assert len(scatter.pairs) == 4000
    assert scatter.pairs[-1][0] > 11_990


def test_best_values_drop_the_usual_prefix_and_unknown_values(tmp_path):
    run = new_run(tmp_path / "run")
    assert best_values(run) == costs(run) == {}  # a run that failed early has no result
    leave_results(run)
    assert best_values(run) == {"best/accuracy": 0.75, "best/eval_mm/accuracy": 0.5}
    assert costs(run) == {"cost/train_seconds": 1.5}
