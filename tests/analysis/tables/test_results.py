"""From runs to numbers, verdicts, flags and written tables."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest
from tests.analysis.tables.made import make_plan, write_run, write_table

from exp.analysis.tables import footer, html, load, matrix, render, tex, views
from exp.analysis.tables.results import results
from exp.errors import ExpError

SLOW = {1: 0.80, 2: 0.801, 3: 0.799}
FAST = {1: 0.95, 2: 0.96, 3: 0.97}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A plan whose reviews column is complete and whose short column has one run, one failure, one missing."""
    tmp_path = tmp_path_factory.mktemp("done")
    path = write_table(tmp_path / "t.yaml")
    for job in make_plan(path).jobs:
        seed = job.seeds["seed"]
        place = tmp_path / "runs" / job.tag
        if job.column == "reviews":
            write_run(place, job, (SLOW if job.row == "slow" else FAST)[seed])
        elif seed == 1:
            write_run(place, job, 0.7)
        elif seed == 2:
            write_run(place, job, status="failed")
    return make_plan(path, tmp_path / "runs")


def at(found, row, column):
    return next(result for result in found if (result.row, result.column) == (row, column))


def test_numbers_and_verdicts(done):
    found = results(done)
    slow, fast = at(found, "slow", "reviews"), at(found, "fast", "reviews")
    assert slow.shown == pytest.approx(80.0) and slow.std == pytest.approx(0.1) and slow.n == 3
    assert slow.verdict.word == "reproduced" and slow.difference == pytest.approx(0.0)
    assert fast.verdict.word == "higher" and fast.difference == pytest.approx(6.0)


def test_failed_and_missing_runs_are_counted(done):
    short = at(results(done), "slow", "short")
    assert (short.n, short.failed, short.missing) == (1, 1, 1)
    assert math.isnan(short.std)
    assert render.counts(short) == "1 failed, 1 missing"


def test_median_and_best_of_several_evaluations(tmp_path):
    values = {1: 0.7, 2: 0.95, 3: 0.9}
    path = write_table(tmp_path / "t.yaml", aggregate="median", published={})
    for job in make_plan(path, only=("slow/reviews",)).jobs:
        write_run(tmp_path / "runs" / job.tag, job, values[job.seeds["seed"]])
    assert results(make_plan(path, tmp_path / "runs", only=("slow/reviews",)))[0].shown == pytest.approx(90.0)


def test_an_evaluation_in_the_middle_is_read_from_the_events(tmp_path):
    column = {"overrides": ["data=reviews"], "metric": "accuracy"}
    columns = {"one": column | {"epoch": 1}, "two": column | {"epoch": 2}, "nine": column | {"epoch": 9}}
    path = write_table(tmp_path / "t.yaml", columns=columns, published={})
    for job in make_plan(path).jobs:
        write_run(tmp_path / "runs" / job.tag, job, 0.9)
    found = results(make_plan(path, tmp_path / "runs", only=("slow/one", "slow/two")))
    assert [result.shown for result in found] == pytest.approx([80.0, 90.0])
    with pytest.raises(ExpError, match=r"column nine reads eval/accuracy after epoch 9"):
        results(make_plan(path, tmp_path / "runs", only=("slow/nine",)))


def test_a_metric_that_runs_do_not_have_is_named(tmp_path):
    columns = {"reviews": {"overrides": ["data=reviews"], "metric": "f1"}}
    path = write_table(tmp_path / "t.yaml", columns=columns, published={})
    for job in make_plan(path).jobs:
        write_run(tmp_path / "runs" / job.tag, job)
    with pytest.raises(ExpError, match=r"column reviews reads eval/f1, which .* has not; .*eval/accuracy"):
        results(make_plan(path, tmp_path / "runs"))


def test_runs_at_guessing_are_flagged(tmp_path):
    path = write_table(tmp_path / "t.yaml")
    for job in make_plan(path, only=("*/reviews",)).jobs:
        write_run(tmp_path / "runs" / job.tag, job, 0.5 if job.row == "slow" else 0.9)
    made = make_plan(path, tmp_path / "runs", only=("*/reviews",))
    found = results(made)
    assert [result.degenerate for result in found] == [3, 0]
    notes = footer.lines(made, found)
    assert any(note.startswith("WARNING: every run of slow is degenerate") for note in notes)


def test_a_run_with_nan_counts_as_failed(tmp_path):
    path = write_table(tmp_path / "t.yaml")
    for job in make_plan(path, only=("slow/reviews",)).jobs:
        write_run(tmp_path / "runs" / job.tag, job, math.nan if job.seeds["seed"] == 2 else 0.9)
    found = results(make_plan(path, tmp_path / "runs", only=("slow/reviews",)))[0]
    assert (found.n, found.failed, found.shown) == (2, 1, pytest.approx(90.0))


def test_best_of_a_grid_is_chosen_and_named(tmp_path):
    path = write_table(
        tmp_path / "t.yaml", search={"grid": {"num_train_epochs": [1, 2]}}, rows={"slow": {}}, published={}
    )
    jobs = make_plan(path, only=("slow/reviews",)).jobs
    assert len(jobs) == 6
    for job in jobs:
        write_run(tmp_path / "runs" / job.tag, job, 0.8 if job.point == 0 else 0.9)
    made = make_plan(path, tmp_path / "runs", only=("slow/reviews",))
    found = results(made)[0]
    assert found.point == "num_train_epochs=2" and found.shown == pytest.approx(90.0)
    notes = " ".join(footer.lines(made, [found]))
    assert "searched: num_train_epochs in {1, 2} (grid, 2 points a cell)" in notes
    assert "Chosen and reported on the same split" in notes


def test_an_unfinished_grid_has_no_verdict(tmp_path):
    path = write_table(
        tmp_path / "t.yaml",
        search={"grid": {"num_train_epochs": [1, 2]}},
        rows={"slow": {}},
        published={"slow": {"reviews": 90}},
    )
    for job in make_plan(path, only=("slow/reviews",)).jobs:
        if job.point == 0:
            write_run(tmp_path / "runs" / job.tag, job, 0.9)
    found = results(make_plan(path, tmp_path / "runs", only=("slow/reviews",)))[0]
    assert found.verdict.word == "not enough runs" and found.verdict.why.startswith("1 of 2 search points")


def test_a_server_table_is_never_judged_by_local_numbers(tmp_path):
    path = write_table(
        tmp_path / "t.yaml",
        split="test_server",
        source={"split": "test_server"},
        published={"slow": {"reviews": 80}},
    )
    jobs = make_plan(path, only=("slow/reviews",)).jobs
    for job in jobs:
        write_run(tmp_path / "runs" / job.tag, job)
    made = make_plan(path, tmp_path / "runs", only=("slow/reviews",))
    found = results(made)
    assert found[0].n == 0 and found[0].failed == 0
    assert found[0].verdict.word == "not judged" and "submission" in found[0].verdict.why


def test_every_form_says_the_same(done):
    table, found = done.table, results(done)
    notes = footer.lines(done, found)
    text = render.markdown(table, found, notes, [])
    assert "80.00 ± 0.10 (3) [80] =" in text and "96.00 ± 1.00 (3) [90 ± 1 (5)] ↑" in text
    assert "70.00 (1), 1 failed" in text
    rows = list(csv.DictReader(io.StringIO(render.csv_text(table, found))))
    assert [row["verdict"] for row in rows] == ["reproduced", "not judged", "higher", "not judged"]
    assert float(rows[2]["ours"]) == pytest.approx(96.0) and rows[2]["values"] == "95 96 97"
    assert rows[1]["failed"] == "1" and rows[1]["published"] == ""
    page = html.write(table, found, notes, [])
    assert "80.00 ± 0.10" in page and 'class="mark higher"' in page and "http" not in page.split("</style>")[1]


def test_latex_escapes_what_names_hold(tmp_path):
    path = write_table(
        tmp_path / "t.yaml", title="50% & more_or_less", rows={"a_b": {}}, published={"a_b": {"reviews": 80}}
    )
    made = make_plan(path)
    text = tex.latex(made.table, results(made), ["note"])
    assert r"50\% \& more\_or\_less" in text and r"a\_b & -- & --" in text
    assert text.count(r"\\") == 3 and r"\toprule" in text and r"\label{tab:" in text


def test_every_form_names_the_metric_of_a_column(done):
    table, found = done.table, results(done)
    first = render.wide(table, found).columns[1].title
    metric = table.column(found[0].column).metric.partition("/")[2]
    assert first == f"{found[0].column} ({metric})"
    assert first in render.markdown(table, found, [], []) and first in html.write(table, found, [], [])
    assert first.replace("_", r"\_") in tex.latex(table, found, [])


def test_the_best_of_a_column_is_bold_where_that_is_asked_for(done):
    table, found = done.table, results(done)
    best = render.best_rows(table, found)
    assert {found[2].row} == {row for row, column in best if column == found[2].column}  # 96 of 80 and 96
    assert "**96.00" in render.markdown(table, found, [], [], bold=True)
    assert r"\textbf{96.00 $\pm$ 1.00} (3)" in tex.latex(table, found, [], bold=True)
    assert "**" not in render.markdown(table, found, [], [])
    assert r"\textbf" not in tex.latex(table, found, [])


def test_a_dry_run_is_a_matrix(done):
    lines = matrix.matrix(done).splitlines()
    assert len(lines) == 1 + len({row for row, _ in done.cells})
    assert "3 found" in lines[1] and len({len(line.rstrip()) > 0 for line in lines}) == 1


def test_the_footer_names_what_checklists_ask_for(done):
    text = " | ".join(footer.lines(done, results(done)))
    for part in (
        "runs: 8 found, 2 failed, 2 missing of 12. Failed: it was too hot (2)",
        "mean over seeds of the final model on the dev split",
        "compute: 8 min of training in 8 runs",
        "parameters: bert 1,000",
        "code: 012345678",
        "versions: exp",
        "tolerance 1",
    ):
        assert part in text, (part, text)


def test_expected_best_against_all_draws():
    """Dodge's formula is the mean over all draws with replacement, the unbiased one over all without."""
    from itertools import combinations, product

    values = [0.2, 0.5, 0.7, 0.9, 0.9]
    for k in (1, 2, 3, 5):
        drawn = [max(draw) for draw in product(values, repeat=k)]
        assert views.expected_best(values, k) == pytest.approx(sum(drawn) / len(drawn))
        chosen = [max(draw) for draw in combinations(values, k)]
        assert views.expected_best_unbiased(values, k) == pytest.approx(sum(chosen) / len(chosen))


@pytest.mark.parametrize("kind", ["grid", "random"])
def test_budget_says_best_so_far_for_a_grid(tmp_path, kind):
    search = {"grid": {"num_train_epochs": [1, 2, 3]}}
    if kind == "random":
        search = {
            "random": {"draws": 3, "seed": 1, "space": {"optimizer.lr": {"low": 1e-5, "high": 1e-3, "log": True}}}
        }
    path = write_table(tmp_path / "t.yaml", search=search, rows={"slow": {}}, published={}, seeds=[1])
    for job in make_plan(path, only=("slow/reviews",)).jobs:
        write_run(tmp_path / "runs" / job.tag, job, (0.8, 0.7, 0.9)[job.point])
    made = make_plan(path, tmp_path / "runs", only=("slow/reviews",))
    view = views.budget(made, results(made))[0]
    if kind == "grid":
        assert [row[1] for row in view.rows] == ["80.00", "80.00", "90.00"]
        assert "no expectation" in view.notes[0]
    else:
        assert view.rows[0][1:] == ("80.00", "80.00")
        assert view.rows[2][1:] == (f"{80 * 7 / 27 + 70 * 1 / 27 + 90 * 19 / 27:.2f}", "90.00")


def test_two_seeds_as_a_grid(tmp_path):
    path = write_table(tmp_path / "t.yaml", seeds={"init_seed": [1, 2], "data_seed": [5, 6]}, published={})
    for job in make_plan(path, only=("slow/reviews",)).jobs:
        value = 0.8 + 0.1 * (job.seeds["init_seed"] - 1) + 0.02 * (job.seeds["data_seed"] - 5)
        write_run(tmp_path / "runs" / job.tag, job, value)
    made = make_plan(path, tmp_path / "runs", only=("slow/reviews",))
    view = views.seeds(made, results(made))[0]
    assert view.rows == (
        ("init 1", "80.00", "82.00", "81.00"),
        ("init 2", "90.00", "92.00", "91.00"),
        ("mean", "85.00", "87.00", "86.00"),
    )
    assert view.notes == ("standard deviation of the means by init seed 7.07, by data seed 1.41",)


def test_stability_puts_failed_runs_beside_the_spread(done):
    view = views.stability(done, results(done))[0]
    assert view.rows[0] == ("slow", "reviews", "ours", "3", "0.10", "80.00", "80.00", "80.10", "0 of 3")
    assert view.rows[1][:4] == ("slow", "reviews", "published", "–")
    assert view.rows[2] == ("slow", "short", "ours", "1", "–", "70.00", "70.00", "70.00", "1 of 2")


def test_views_that_do_not_fit(done):
    with pytest.raises(ExpError, match=r"view=budgt: .*did you mean 'budget'"):
        views.view("budgt")
    with pytest.raises(ExpError, match="needs a table with a search"):
        views.budget(done, [])
    with pytest.raises(ExpError, match="view=seeds needs seeds of the form"):
        views.seeds(done, [])


def test_docs_name_every_word_of_a_table_file():
    text = (Path(__file__).resolve().parents[3] / "docs" / "tables.md").read_text()
    for word in (*load.NEEDED, *load.OPTIONAL):
        assert f"`{word}`" in text, word
