"""What a run records for tests over its examples: rows that leaked, and a temperature."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from exp.data.examples import Examples, TaskData
from exp.loop import outputs
from exp.run.folder import read_record
from exp.task.one_label import OneLabelReading
from tests.analysis.synthetic import write


def rows(*texts):
    return Examples(list(range(len(texts))), {"text": list(texts)}, [1] * len(texts))


def test_leaks_are_said_and_kept(tmp_path, caplog):
    data = TaskData("toy", rows("a", "b"), {"": rows("c", "b")}, {"": rows("d")}, ("no", "yes"), ("accuracy",), 8, "")
    run = SimpleNamespace(kept=True, folder=tmp_path)
    with caplog.at_level(logging.INFO, logger="exp"):
        facts = outputs._leaks(SimpleNamespace(data=data), run)
    assert facts["eval"] == {"rows": 2, "in_train": 1, "with_the_same_label": 1} and facts["test"]["in_train"] == 0
    [said] = caplog.records
    assert said.levelname == "WARNING" and "1 of 2 eval rows stand in train, 1 with the same label" in said.message
    assert json.loads((tmp_path / "leaks.json").read_text()) == {"eval": [1]}


def test_the_temperature_is_recorded(tmp_path, caplog):
    dice = np.random.default_rng(3)
    sure = np.where(dice.random(400) < 0.5, 0.97, 0.03)
    right = dice.random(400) < 0.75
    guess = sure > 0.5
    gold = np.where(right, guess, ~guess)
    names = np.array(["no", "yes"])
    table = pa.table(
        {
            "label": names[gold.astype(int)],
            "prediction": names[guess.astype(int)],
            "scores": np.stack([1 - sure, sure], axis=1).tolist(),
        }
    )
    run = write(tmp_path / "run")
    with caplog.at_level(logging.INFO, logger="exp"):
        found = {"": SimpleNamespace(table=table)}
        outputs.keep_calibration(run, OneLabelReading(("no", "yes"), ("accuracy",)), found)
    kept = read_record(run.folder)["data"]["calibration"]
    assert kept["overconfident"] is True and kept["ece"] == pytest.approx(0.97 - right.mean(), abs=0.01)
    assert kept["temperature"] == pytest.approx(
        np.log(0.97 / 0.03) / np.log(right.mean() / (1 - right.mean())), rel=0.01
    )
    assert "overconfident: says 0.970 on average" in caplog.text
