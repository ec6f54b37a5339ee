"""The Hub's files of a table's rows, read by huggingface_hub's own classes and by exp compare."""

from __future__ import annotations

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from tests.analysis.tables.made import make_plan, write_run, write_table

from exp.analysis.collect import collect
from exp.analysis.grouping import compare
from exp.analysis.tables import publish
from exp.analysis.tables.results import results
from exp.errors import ExpError

COLUMNS = {
    "reviews": {"overrides": ["data=reviews"], "metric": "accuracy"},
    "MRPC": {"overrides": ["data=mrpc"], "metric": "accuracy"},
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("publish")
    rows = {"fast & good": {"overrides": ["optimizer.lr=1e-3"]}, "later": {"overrides": ["optimizer.lr=1e-5"]}}
    table = write_table(root / "mine.yaml", rows=rows, columns=COLUMNS, published=...)
    plan = make_plan(table, only=("fast & good/*",))
    for number, job in enumerate(plan.jobs):
        write_run(root / "runs" / str(number), job, accuracy=0.8 + 0.01 * job.seeds["seed"])
    made = make_plan(table, root / "runs")
    return made, root


def test_one_folder_for_each_row_with_numbers(published):
    made, root = published
    [folder] = publish.write(made.table, results(made), root / "hub")
    assert folder.name == "fast-good"
    card = ModelCard.load(folder / "README.md")
    found = {one.dataset_name: one for one in card.data.eval_results}
    [reviews] = [one for one in card.data.eval_results if one.dataset_type == "reviews" and one.dataset_config is None]
    assert reviews.metric_value == pytest.approx(0.82) and reviews.metric_name == "eval/accuracy, mean of 3 runs"
    assert reviews.metric_args["n"] == 3 and reviews.metric_args["seeds"] == [1, 2, 3]
    assert reviews.metric_args["std"] == pytest.approx(0.01) and len(reviews.metric_args["conditions"]) == 1
    assert reviews.dataset_split == "validation" and found
    assert card.data.datasets == ["nyu-mll/glue"] and "made by exp from 6 runs" in card.text
    assert "| MRPC | eval/accuracy | 0.8200 (mean) | 0.0100 | 3 | 1, 2, 3 |" in card.text


def test_eval_results_are_of_data_sets_of_the_hub(published):
    made, root = published
    [folder] = publish.write(made.table, results(made), root / "hub")
    raw = yaml.safe_load((folder / ".eval_results" / "mine.yaml").read_text())
    [entry] = parse_eval_result_entries(raw)
    assert (entry.dataset_id, entry.task_id) == ("nyu-mll/glue", "mrpc")
    assert entry.value == pytest.approx(0.82)
    assert "accuracy on validation, mean of 3 runs (seeds 1, 2, 3), standard deviation 0.0100" in entry.notes


def test_results_json_is_read_back(published):
    made, root = published
    [folder] = publish.write(made.table, results(made), root / "hub")
    again = compare(collect([str(folder / "results.json")]))
    assert len(again.runs) == 6
    assert all(task.conditions[0].metrics["eval/accuracy"].last.mean == pytest.approx(0.82) for task in again.tasks)


def test_nothing_to_publish(published, tmp_path):
    _, root = published
    empty = make_plan(str(root / "mine.yaml"), only=("later/*",))
    with pytest.raises(ExpError, match="no cell of table mine has a number yet"):
        publish.write(empty.table, results(empty), tmp_path)
    assert list(tmp_path.iterdir()) == []
