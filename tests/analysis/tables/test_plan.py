"""Which runs a table needs, and which of them exist wherever they lie."""

from __future__ import annotations

import pytest
from tests.analysis.tables.made import edit, make_plan, nested, write_run, write_table

from exp.analysis.tables import compose, load, plan
from exp.errors import ExpError
from exp.run.identity import condition_hash


def truly_composed(table, row, column, point):
    return compose.compose(compose.merged_overrides(table.overrides, *plan.override_parts(table, row, column, point)))


@pytest.mark.parametrize("name", ["hf_glue", "electra", "roberta_base", "bert_stability"])
def test_configs_put_together_are_those_that_hydra_composes(name):
    table = load.load(name)
    composer = plan._composer(table, table.wanted()[0], (table.search.points if table.search else ((),))[0])
    points = (table.search.points if table.search else ((),))[-2:]
    for row in table.rows[-1:]:
        for column in table.columns[-3:]:
            for point in points:
                found = composer.cell(plan.override_parts(table, row, column, point))
                assert found == truly_composed(table, row, column, point), (column.name, point)


def test_parts_that_touch_the_same_key_are_composed(tmp_path):
    """A row that sets the rate, a column that sets it too, and a column that goes back to the default data."""
    path = write_table(
        tmp_path / "t.yaml",
        rows={
            "a": {"overrides": ["data=cola", "optimizer.lr=1e-5"]},
            "b": {"overrides": ["model=bert_base"]},
            "c": {"overrides": ["num_train_epochs=9"]},
        },
        columns={
            "x": {"metric": "matthews_correlation"},
            "y": {"overrides": ["optimizer.lr=7e-5"], "metric": "accuracy"},
            "z": {"overrides": ["data=reviews"], "metric": "accuracy"},
            # Leaves bert_tiny's recipe, whose epochs row c sets itself.
            "w": {"overrides": ["model=bert_base"], "metric": "accuracy"},
        },
        published={},
    )
    table = load.load(path)
    composer = plan._composer(table, table.wanted()[0], ())
    for row, column in table.wanted():
        found = composer.cell(plan.override_parts(table, row, column, ()))
        assert found == truly_composed(table, row, column, ()), (row.name, column.name)


def test_a_cell_has_the_condition_that_its_run_gets(tmp_path):
    made = make_plan(write_table(tmp_path / "t.yaml"))
    for job in made.jobs:
        assert job.condition == condition_hash(nested(dict(job.config)))
    assert len({job.condition for job in made.jobs}) == 4
    assert len(made.jobs) == 12
    assert len({job.tag for job in made.jobs}) == 12


def test_runs_are_found_wherever_they_lie(tmp_path):
    path = write_table(tmp_path / "t.yaml")
    first = make_plan(path)
    places = ["outputs/2026/a", "multirun/study/7", "multirun/study/8", "elsewhere/x"]
    for place, job, status in zip(
        places, first.jobs, ("completed", "failed", "interrupted", "completed"), strict=False
    ):
        write_run(tmp_path / place, job, status=status)
    found = make_plan(path, tmp_path / "outputs", tmp_path / "multirun", tmp_path / "missing")
    assert [job.state for job in found.jobs[:4]] == ["found", "failed", "missing", "missing"]
    assert found.jobs[1].why == "it was too hot"
    again = plan.make(load.load(path), [tmp_path / "multirun"], (), True)
    assert again.jobs[1].state == "missing"  # a failed run, to be tried again


def test_a_finished_run_counts_before_one_that_failed(tmp_path):
    path = write_table(tmp_path / "t.yaml")
    job = make_plan(path).jobs[0]
    write_run(tmp_path / "runs/a", job, status="failed")
    write_run(tmp_path / "runs/b", job)
    write_run(tmp_path / "runs/c", job, status="interrupted")
    assert make_plan(path, tmp_path / "runs").jobs[0].state == "found"


def test_one_seed_of_four_makes_another_run(tmp_path):
    path = write_table(tmp_path / "t.yaml")
    job = make_plan(path, seeds=[1]).jobs[0]
    write_run(tmp_path / "runs/a", job)
    other = make_plan(path, tmp_path / "runs", seeds={"seed": [1], "data_seed": [5]})
    assert other.jobs[0].condition == job.condition
    assert other.jobs[0].state == "missing"
    assert make_plan(path, tmp_path / "runs", seeds=[1]).jobs[0].state == "found"


def test_columns_of_one_condition_share_their_runs(tmp_path):
    column = {"overrides": ["data=reviews"], "metric": "accuracy"}
    path = write_table(
        tmp_path / "t.yaml", columns={"one": column | {"epoch": 1}, "two": column | {"epoch": 2}}, published={}
    )
    assert len(make_plan(path).jobs) == 6


def test_an_edited_record_is_named(tmp_path):
    path = write_table(tmp_path / "t.yaml")
    job = make_plan(path).jobs[0]
    write_run(tmp_path / "runs/a", job)
    edit(tmp_path / "runs/a", num_train_epochs=9)
    with pytest.raises(ExpError, match=r"cell slow/reviews: the record of .* was edited: .*num_train_epochs=6.*=9"):
        make_plan(path, tmp_path / "runs")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {"slow": {"overrides": ["optimizer=adamm"]}}}, "cell slow/reviews: optimizer=adamm.*adamw"),
        (
            {"columns": {"short": {"overrides": ["data.max_trian=1"], "metric": "accuracy"}}},
            "cell slow/short: .*data.max_tr",
        ),
        ({"columns": {"a": {"metric": "acuracy"}}}, "cell slow/a: metric acuracy is not computed.*'accuracy'"),
        (
            {"columns": {"a": {"overrides": ["task.metrics=[accuracy]"], "metric": "pearson"}}},
            "cell slow/a: metric pearson is not computed.*known: accuracy, combined_score, loss",
        ),
    ],
)
def test_overrides_that_do_not_fit_name_the_cell(tmp_path, changes, message):
    path = write_table(tmp_path / "t.yaml", published={}, **changes)
    with pytest.raises(ExpError, match=message):
        make_plan(path)


def test_cells_are_chosen_by_pattern(tmp_path):
    path = write_table(tmp_path / "t.yaml")
    assert list(make_plan(path, only=("fast/*",)).cells) == [("fast", "reviews"), ("fast", "short")]
    with pytest.raises(ExpError, match=r"cells=fst/reviews: .*did you mean 'fast/reviews'"):
        make_plan(path, only=("fst/reviews",))


def test_a_dependent_waits_and_then_starts_from_those_weights(tmp_path):
    """One seed starts from the run of the same seed; its condition holds a fingerprint of the weights."""
    columns = {
        "first": {"overrides": ["data=reviews"], "metric": "accuracy"},
        "second": {"overrides": ["data=cola"], "metric": "matthews_correlation", "start_from": "first"},
    }
    path = write_table(tmp_path / "t.yaml", overrides=["model=bert_base"], columns=columns, published={}, seeds=[1, 2])
    made = make_plan(path, only=("slow/*",))
    waiting = [job for job in made.jobs if job.state == "waiting"]
    assert [job.column for job in waiting] == ["second", "second"]
    first = next(job for job in made.jobs if job.column == "first" and job.seeds["seed"] == 2)
    write_run(tmp_path / "runs/a", first)
    (tmp_path / "runs/a/model").mkdir()
    (tmp_path / "runs/a/model/weights").write_text("two")
    made = make_plan(path, tmp_path / "runs", only=("slow/*",))
    ready = next(job for job in made.jobs if job.column == "second" and job.seeds["seed"] == 2)
    assert ready.state == "missing"
    assert ready.words[-1] == f"model.path='{(tmp_path / 'runs/a/model').resolve()}'"
    assert ready.condition != waiting[0].condition
    assert [job.state for job in made.jobs if job.column == "second" and job.seeds["seed"] == 1] == ["waiting"]


def test_cost_is_estimated_from_the_nearest_runs(tmp_path):
    path = write_table(tmp_path / "t.yaml")
    jobs = make_plan(path).jobs
    by = {(job.row, job.column): job for job in jobs if job.seeds["seed"] == 1}
    write_run(tmp_path / "runs/a", by["slow", "reviews"], train_seconds=100.0)
    made = make_plan(path, tmp_path / "runs")
    # 2 more of the same condition, 3 of the same column, 3 of the same row; 3 share nothing with it
    assert plan.seconds_left(made) == (800.0, 3)
