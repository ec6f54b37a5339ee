"""A search space from words: ranges, the command line, conditions."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from exp.errors import ExpError
from exp.study.space_words import read_space


def test_ranges_become_distributions() -> None:
    space = read_space(
        {"a": "tag(log, interval(1e-5, 1e-2))", "b": "range(2, 9, 3)", "c": "choice(x, 3, true)"}, None, None,
        ["d=int(interval(1,4))", "e=7"], {},
    )  # fmt: skip
    shown = {param.name: param.distribution for param in space.params}
    assert shown["a"] == optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True)
    assert shown["b"] == optuna.distributions.IntDistribution(2, 8, step=3)
    assert shown["c"] == optuna.distributions.CategoricalDistribution(["x", 3, True])
    assert shown["d"] == optuna.distributions.IntDistribution(1, 4)
    assert space.overrides({"a": 0.001, "b": 5, "c": True, "d": 2}) == ["e=7", "a=0.001", "b=5", "c=True", "d=2"]


def test_the_command_line_wins() -> None:
    params = {"a": "interval(0.0,1.0)", "b": "choice(1,2)"}
    space = read_space(params, None, None, ["a=0.5", "b=choice(3,4)"], {})
    assert [param.name for param in space.params] == ["b"]
    assert space.fixed == {"a": "0.5"}
    assert space.params[0].probes() == [3, 4]


def test_same_key_in_two_branches_gets_two_names() -> None:
    space = read_space(
        {"opt": "choice(a,b)"},
        {"opt=a": {"lr": "choice(1,2)", "when": {"lr=2": {"k": "interval(0.0,1.0)"}}}, "opt=b": {"lr": "choice(3,4)"}},
        None, [], {},
    )  # fmt: skip
    assert [param.name for param in space.params] == ["opt", "lr [opt=a]", "k", "lr [opt=b]"]
    for limit in (2, 1000):
        probes = [space.swept(chosen) for chosen in space.probes({"opt"}, limit, 0)]
        assert {"opt": "a", "lr": "1"} in probes
        assert {"opt": "a", "lr": "2", "k": "0.0"} in probes
        assert {"opt": "b", "lr": "4"} in probes
        assert all("k" not in row or row["lr"] == "2" for row in probes)


def test_conditions_on_a_group_that_is_not_swept() -> None:
    when = {"optimizer=sgd|adam": {"m": "interval(0.0,1.0)"}}
    assert read_space({"x": "choice(1,2)"}, when, None, [], {"optimizer": "sgd"}).assign(lambda p: p.probes()[0]) == {
        "x": 1,
        "m": 0.0,
    }
    assert read_space({"x": "choice(1,2)"}, when, None, ["optimizer=adamw"], {"optimizer": "sgd"}).assign(
        lambda p: p.probes()[0]
    ) == {"x": 1}


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"optimiser=sgd": {"m": "choice(1,2)"}}, "did you mean 'optimizer'"),
        ({"optimizer=sdg": {"m": "choice(1,2)"}}, "optimizer is never sdg; did you mean 'sgd'"),
        ({"optimizer": {"m": "choice(1,2)"}}, "is no condition"),
        ({"optimizer=sgd": "x"}, "holds parameters and their ranges"),
        ({"layers=3": {"m": "choice(1,2)"}}, "layers is never 3; it is drawn from 2 to 4 in steps of 2"),
        ({"layers=6": {"m": "choice(1,2)"}}, "layers is never 6"),
        ({"layers=many": {"m": "choice(1,2)"}}, "layers is never many"),
        ({"lr=1.5": {"m": "choice(1,2)"}}, "lr is never 1.5; it is drawn from 0.1 to 0.9"),
        ({"rate=0.3": {"m": "choice(1,2)"}}, "rate is never 0.3"),  # but 0.30000000000000004
        ({"optimizer=sgd": {"when": {"optimizer=adamw": {"m": "choice(1,2)"}}}}, "never sgd and adamw at once"),
    ],
)
def test_bad_conditions(when: dict[str, Any], message: str) -> None:
    params = {"optimizer": "choice(sgd,adamw)", "layers": "range(2,5,step=2)", "lr": "interval(0.1,0.9)"}
    params["rate"] = "range(0.1,0.5,step=0.1)"
    with pytest.raises(ExpError, match=message):
        read_space(params, when, None, [], {})


def test_a_condition_on_a_number_that_is_drawn() -> None:
    read_space({"lr": "interval(0.1,0.9)"}, {"lr=0.5": {"m": "choice(1,2)"}}, None, [], {})  # it may be enqueued
    space = read_space({"layers": "range(2,6,step=2)"}, {"layers=4": {"m": "choice(1,2)"}}, None, [], {})
    assert space.assign(lambda param: 4 if param.name == "layers" else 1) == {"layers": 4, "m": 1}
