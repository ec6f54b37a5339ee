"""The live table of a study, drawn for terminals of several sizes."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial
from rich.console import Console

from exp.study.progress import ProgressTable, short_names, wrapped

SPACE = {
    "optimizer.lr": FloatDistribution(1e-6, 1),
    "per_device_train_batch_size": CategoricalDistribution([8, 16]),
    "scheduler.warmup_ratio": FloatDistribution(0, 1),
    "optimizer.weight_decay": CategoricalDistribution([0.0, 0.01]),
}
CHOSEN = {
    "optimizer.lr": 1.5e-05,
    "per_device_train_batch_size": 16,
    "scheduler.warmup_ratio": 0.25,
    "optimizer.weight_decay": 0.01,
}


def trial(number, state, value=None):
    told = create_trial(
        state=state, value=value, params=CHOSEN, distributions=SPACE, intermediate_values={1: 0.5, 2: 0.6}
    )
    told.number = number
    return told


@pytest.fixture
def trials():
    """Trial 0 is the best, trial 1 runs longest, the others came later."""
    later = [trial(n, TrialState.PRUNED, 0.6) for n in range(2, 40)]
    return [trial(0, TrialState.COMPLETE, 0.91), trial(1, TrialState.RUNNING), *later]


def drawn(trials, width, height):
    objective = SimpleNamespace(names=("eval/accuracy",), directions=("maximize",))
    plan = SimpleNamespace(objective=objective, n_trials=40, study_name="lr-mrpc")
    show = ProgressTable.__new__(ProgressTable)
    show.plan, show.console = plan, Console(width=width, height=height, file=io.StringIO(), color_system=None)
    show.console.print(show._table(trials, 2))
    return show.console.file.getvalue().splitlines()


def test_eighty_columns_hold_a_column_a_parameter(trials):
    lines = drawn(trials, 80, 24)
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if line.split() and line.split()[0].isdigit()]
    assert rows[0] == ["0", "complete", "0.91", "1.5e-05", "16", "0.25", "0.01", "0:00"]
    assert rows[1][:4] == ["1", "running", "0.6", "@2"]  # it runs, so it stays in view
    assert rows[-1][0] == "39"
    assert any("39/40 trials (1 complete, 38 pruned)" in line and "2 workers" in line for line in lines)
    assert any("best 0.91 by trial 0" in line for line in lines)


def test_a_narrow_terminal_keeps_one_line_a_trial(trials):
    lines = drawn(trials, 50, 24)
    assert len(lines) <= 24 and max(map(len, lines)) <= 50
    first = next(line for line in lines if line.split()[:1] == ["0"])
    assert "complete" in first and "lr=1.5e-05" in first and "…" in first


def test_names_are_short_where_that_is_clear():
    assert short_names(["optimizer.lr", "head.lr", "scheduler.warmup_ratio"]) == {
        "optimizer.lr": "optimizer.lr",
        "head.lr": "head.lr",
        "scheduler.warmup_ratio": "warmup_ratio",
    }
    assert wrapped("per_device_train_batch_size").split("\n") == ["per_device_", "train_", "batch_size"]
