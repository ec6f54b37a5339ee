"""What many looks at one evaluation set give by chance, and what runs have cost together."""

from __future__ import annotations

import json
import math

import pytest
from tests.analysis.synthetic import write

from exp.analysis.collect import collect
from exp.analysis.costs import said_of_cost
from exp.analysis.grouping import compare
from exp.analysis.looks import expected_largest


def charge(run, **cost):
    path = run.result_path
    result = json.loads(path.read_text())
    result["cost"] |= cost
    path.write_text(json.dumps(result))


def test_the_best_of_many_equal_ones():
    assert expected_largest(1) == pytest.approx(0.0, abs=1e-6)
    assert expected_largest(2) == pytest.approx(1 / math.sqrt(math.pi), abs=1e-5)
    assert expected_largest(200) == pytest.approx(2.746, abs=2e-3)  # Harter 1961, table 1


def test_pruned_trials_are_looks_too(tmp_path):
    for number in range(6):
        status = "completed" if number < 2 else "pruned"
        write(tmp_path / str(number), accuracy=(0.7,), status=status, optimizer__lr=1e-5 * (1 + number))
    [task] = compare(collect([str(tmp_path)])).tasks
    guessed = 0.684 + expected_largest(6) * 0.023
    said = f"the best of 6 settings (4 pruned) that were tried on eval; the best of 6 guesses would have {guessed:.4f}"
    assert [note for note in task.notes if said in note], task.notes
    [few] = compare(collect([str(tmp_path)]), filters=["status=pruned"]).tasks
    assert not [note for note in few.notes if "guesses" in note]


def test_energy_and_money_are_added_up_and_what_is_unknown_is_said(tmp_path):
    runs = [
        write(tmp_path / str(seed), seed=seed, cost={"currency": "EUR", "rate_per_hour": 2.0}) for seed in (1, 2, 3)
    ]
    [plain] = compare(collect([str(tmp_path)])).tasks
    assert not [note for note in plain.notes if note.startswith("cost:")]
    for run, used in zip(runs, (0.2, 0.3, 0.4), strict=True):
        charge(run, train_seconds=1800.0, mfu=used, money=1.25)
    charge(runs[0], energy_kwh=0.5)
    found = collect([str(tmp_path)])
    assert said_of_cost(found.runs) == (
        "90 min of training in 3 runs, 0.5 kWh (of 1 run), 3.75 EUR, MFU 30.0% (median)"
    )
    [task] = compare(found).tasks
    assert task.notes[-1] == f"cost: {said_of_cost(found.runs)}"
