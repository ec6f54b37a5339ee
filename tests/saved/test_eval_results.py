"""The file that the Hub's leaderboards read, from the values of the card."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from exp.run.folder import read_record
from exp.run.result import read_result
from exp.saved.card import _results, _write_eval_results
from tests.analysis.synthetic import write


def written(folder, **changes):
    settings = {"early_stopping_threshold": 0.0, "load_best_model_at_end": False, **changes}
    run = write(folder, seed=7, metrics=("accuracy", "f1"), facts={"greater_is_better": True}, **settings)
    model = folder / "model"
    model.mkdir()
    record, result = read_record(run.folder), read_result(run.result_path)
    _write_eval_results(model, record, {**result, "saved_step": 300}, folder)
    return model / ".eval_results" / "exp.yaml", record


def test_the_primary_metric_of_a_hub_data_set(tmp_path):
    path, record = written(tmp_path / "a", data__task="mrpc")
    [entry] = yaml.safe_load(path.read_text())
    assert entry["dataset"] == {"id": "nyu-mll/glue", "task_id": "mrpc"}
    assert entry["value"] == 0.78  # of the saved weights, those of the last step
    assert "accuracy on validation, one run, seed 7" in entry["notes"] and record["id"] in entry["notes"]


def test_nothing_for_data_of_ones_own(tmp_path):
    path, _ = written(tmp_path / "a", data___target_="exp.data.files.Files")
    assert not path.exists()


@pytest.mark.parametrize("objective", [None, {"name": "eval/accuracy", "value": None, "step": 0}])
def test_a_card_of_a_run_that_never_measured_its_objective(objective: dict[str, Any] | None) -> None:
    text = _results({"test/loss": {"value": 0.5, "step": 4}}, {} if objective is None else {"objective": objective})
    assert "0.5000" in text and "best" not in text
