"""Fails in words when hydra-optuna-sweeper changes a name that exp.compat.hydra_optuna_sweeper uses."""

from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from exp.compat.hydra_optuna_sweeper import grid_values, parsed


def test_overrides_are_read_as_the_plain_sweeper_reads_them() -> None:
    found = parsed(["a=interval(0,1)", "b=range(1,9,step=2)", "c=choice(x,y)", "d=3", "~e"])
    assert found == (
        {
            "a": FloatDistribution(0.0, 1.0),
            "b": IntDistribution(1, 7, step=2),
            "c": CategoricalDistribution(["x", "y"]),
        },
        {"d": "3"},
        ["~e"],
    ), "hydra-optuna-sweeper reads overrides in another way now: see create_params_from_overrides in its _impl"


def test_values_of_a_grid() -> None:
    assert list(grid_values(CategoricalDistribution(["x", "y"]))) == ["x", "y"]
    assert list(grid_values(IntDistribution(1, 7, step=3))) == [1, 4, 7]
    assert list(grid_values(FloatDistribution(0.0, 1.0, step=0.5))) == pytest.approx([0.0, 0.5, 1.0])
    with pytest.raises(ValueError):
        grid_values(FloatDistribution(0.0, 1.0))
