"""A table file is checked when it is read, and the message names the cell."""

from __future__ import annotations

import pytest
from tests.analysis.tables.made import SMALL, write_table

from exp.analysis.tables import load
from exp.analysis.tables.schema import Published
from exp.errors import ExpError
from exp.metrics.key import Key
from exp.metrics.names import spec


@pytest.mark.parametrize("name", load.names())
def test_every_shipped_table_is_valid(name):
    table = load.load(name)
    assert table.wanted()
    for (row, column), cell in table.cells.items():
        assert cell.published is not None, (row, column)
        limits = spec(Key.of(table.column(column).metric).name)
        assert limits.lowest <= cell.published.value / table.scale <= limits.highest


def test_values_of_a_file(tmp_path):
    table = load.load(write_table(tmp_path / "small.yaml", published_n=4, unit="percent"))
    assert table.name == "small"
    assert table.cell("slow", "reviews").published == Published(80.0, n=4)
    assert table.cell("fast", "reviews").published == Published(90.0, std=1.0, n=5)
    assert table.cell("fast", "short").published is None
    assert table.column("reviews").metric == "eval/accuracy"
    assert [dict(seed) for seed in table.seeds] == [{"seed": 1}, {"seed": 2}, {"seed": 3}]


def test_seeds_as_a_grid(tmp_path):
    table = load.load(write_table(tmp_path / "t.yaml"), seeds={"init_seed": [1, 2], "data_seed": [7, 8]})
    assert [dict(seed) for seed in table.seeds] == [
        {"init_seed": 1, "data_seed": 7},
        {"init_seed": 1, "data_seed": 8},
        {"init_seed": 2, "data_seed": 7},
        {"init_seed": 2, "data_seed": 8},
    ]


COLUMNS = SMALL["columns"]
BAD = {
    "an unknown row": ({"published": {"sloww": {"reviews": 1}}}, "sloww.*did you mean 'slow'"),
    "an unknown column": ({"published": {"slow": {"review": 1}}}, "published slow: review: .*'reviews'"),
    "an unknown cell": ({"cells": {"slow/review": {}}}, "cell slow/review: .*did you mean 'slow/reviews'"),
    "an unknown word": ({"agregate": "mean"}, "agregate.*did you mean 'aggregate'"),
    "no title": ({"title": ...}, "title is missing"),
    "a value out of range": ({"published": {"slow": {"reviews": 180}}}, r"cell slow/reviews: published value 180.*100"),
    "a percent as fraction": ({"unit": "fraction"}, "cell slow/reviews: published value 80.*out of the range"),
    "a maximum out of range": (
        {"published": {"slow": {"reviews": {"value": 80, "max": 101}}}},
        "cell slow/reviews: published max 101",
    ),
    "a value twice": (
        {"cells": {"slow/reviews": {"published": 80}}},
        "cell slow/reviews: its published value stands twice",
    ),
    "a seed named by a number": ({"seeds": {1: [2]}}, "seeds: 1: no such word"),
    "no seeds": ({"seeds": {}}, "seeds is empty"),
    "a metric of no name": ({"columns": {"a": {"metric": 1}}, "published": {}}, "metric has to be a text, not 1"),
    "a repeated seed": ({"seeds": [1, 2, 1]}, "seed 1 is repeated"),
    "a seed of no kind": ({"seeds": {"init": [1]}}, "init: no such word.*init_seed"),
    "a metric of another split": (
        {"columns": {"a": {"metric": "test/accuracy"}}, "published": {}},
        "column a: metric test/accuracy is not of the split dev",
    ),
    "a server's score beside dev": ({"source": {"split": "test_server"}}, "two splits cannot be compared"),
    "a server's score in one cell": (
        {"published": {"slow": {"reviews": {"value": 80, "split": "test_server"}}}},
        "cell slow/reviews: the published value is of the split test_server, ours of dev",
    ),
    "an unknown word of the source": ({"source": {"splitt": "dev"}}, "source: splitt: no such word.*'split'"),
    "a spread of no number": (
        {"published": {"slow": {"reviews": {"value": 80, "std": "a"}}}},
        r"cell slow/reviews: published\.std='a' has the wrong type: it takes a number or null",
    ),
    "a value that is true": ({"published": {"slow": {"reviews": True}}}, r"published\.value=true has the wrong type"),
    "a value that is NaN": ({"published": {"slow": {"reviews": float("nan")}}}, "published.value=nan must be a finite"),
    "runs behind a value": ({"published_n": "many"}, r"published\.n='many' has the wrong type"),
    "unverified in words": ({"unverified": "no"}, r"published\.unverified='no' has the wrong type"),
    "an epoch of no number": (
        {"columns": {"reviews": COLUMNS["reviews"] | {"epoch": "one"}}, "published": {}},
        r"column reviews\.epoch='one' has the wrong type",
    ),
    "a column to start from": (
        {"columns": {"reviews": COLUMNS["reviews"] | {"start_from": ["a"]}}, "published": {}},
        r"column reviews\.start_from=\['a'\] has the wrong type: it takes a text or null",
    ),
    "a cell's tolerance": ({"cells": {"slow/reviews": {"tolerance": "1"}}}, r"tolerance='1' has the wrong type"),
    "a cell's skip": ({"cells": {"slow/reviews": {"skip": "no"}}}, r"skip='no' has the wrong type: it takes true or"),
    "a grid of no lists": ({"search": {"grid": 5}}, "search: grid has to be key: list of values, not 5"),
    "a search of no words": ({"search": {"random": 5}}, "search: random takes draws, seed and space, not 5"),
    "endless draws": (
        {"search": {"random": {"draws": 10**30, "seed": 1, "space": {}}}},
        r"search\.random\.draws=10+ must be 1 or more and at most 10000",
    ),
    "a space of no numbers": (
        {"search": {"random": {"draws": 1, "seed": 1, "space": {"a": {"low": "x", "high": 1}}}}},
        r"search: a\.low='x' has the wrong type",
    ),
    "a logarithm of 0": (
        {"search": {"random": {"draws": 1, "seed": 1, "space": {"a": {"low": 0, "high": 1, "log": True}}}}},
        r"search: a: low=0\.0 has to be below high=1\.0, and above 0",
    ),
    "a circle": (
        {
            "columns": {
                "reviews": COLUMNS["reviews"] | {"start_from": "short"},
                "short": COLUMNS["short"] | {"start_from": "reviews"},
            }
        },
        "start from each other in a circle: reviews <- short <- reviews",
    ),
    "a start from nothing": (
        {"columns": {"reviews": COLUMNS["reviews"] | {"start_from": "shrt"}}},
        "starts from shrt, which is no column",
    ),
    "an override without a value": ({"overrides": ["tracker"]}, "list of key=value"),
    "a grid with one value twice": ({"search": {"grid": {"optimizer.lr": [1, 1]}}}, "different values"),
    "a selection on test": (
        {"search": {"grid": {"optimizer.lr": [1, 2]}, "select": "test/accuracy"}},
        "not of the dev split",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_tables_are_refused(tmp_path, what):
    changes, message = BAD[what]
    with pytest.raises(ExpError, match=message):
        load.load(write_table(tmp_path / "bad.yaml", **changes))


def test_a_cell_that_stands_twice(tmp_path):
    path = tmp_path / "twice.yaml"
    write_table(path)
    path.write_text(path.read_text().replace("    reviews: 80.0\n", "    reviews: 80.0\n    reviews: 81.0\n"))
    with pytest.raises(ExpError, match="'reviews' stands twice"):
        load.load(str(path))


@pytest.mark.parametrize("text", ["? [a]\n: 1\n", "{a: 1}: 1\n", "title: 2020-13-45\n", "- 1\n", "title: {{x}}\n"])
def test_what_is_no_table(tmp_path, text):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(ExpError, match=r"odd\.yaml"):
        load.load(str(path))


def test_unknown_table_and_unknown_name_of_overrides(tmp_path):
    with pytest.raises(ExpError, match="did you mean 'electra'"):
        load.load("elektra")
    with pytest.raises(ExpError, match=r"overrides\.: slov: .*'slow'"):
        load.load(write_table(tmp_path / "t.yaml"), added={"slov": ["seed=1"]})


def test_random_draws_are_the_same_everywhere(tmp_path):
    space = {"optimizer.lr": {"low": 1e-5, "high": 1e-3, "log": True}, "per_device_train_batch_size": [16, 32]}
    search = {"random": {"draws": 20, "seed": 3, "space": space}}
    one, two = (load.load(write_table(tmp_path / f"{n}.yaml", search=search)).search for n in "ab")
    assert one.points == two.points and len(set(one.points)) == 20
    rates = [float(point[0].partition("=")[2]) for point in one.points]
    assert all(1e-5 <= rate <= 1e-3 for rate in rates)
    assert sum(rate < 1e-4 for rate in rates) in range(5, 16)  # log-uniform: about half below the middle
    assert one.bounds[0] == "optimizer.lr 1e-05 to 0.001, log-uniform"


def test_titles_of_tables_that_are_none(tmp_path, monkeypatch):
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "bare.yaml").write_text("split: dev\n")
    (tmp_path / "table" / "odd.yaml").write_text("- 1\n")
    monkeypatch.setattr(load, "search_path", lambda config_dir: [tmp_path])
    assert load.names() == ["bare", "odd"]
    assert load.title("bare") == "no title"
    assert "has to be key: value" in load.title("odd")
