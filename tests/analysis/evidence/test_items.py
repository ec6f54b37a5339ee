"""exp.compare --items on run folders whose predictions are written by hand."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest
from tests.analysis.synthetic import predict, write

from exp import compare as command
from exp.analysis import formats
from exp.analysis.collect import collect
from exp.analysis.evidence.items import ItemOptions, with_items
from exp.analysis.evidence.tables import make
from exp.analysis.grouping import compare
from exp.analysis.report.payload import payload
from exp.curves.verdict import Thresholds
from exp.errors import ExpError

N = 60


def labels():
    return ["yes" if number % 3 else "no" for number in range(N)]


def guesses(wrong, shift=0):
    other = {"yes": "no", "no": "yes"}
    missed = {(number + shift) % N for number in wrong}
    return [other[label] if number in missed else label for number, label in enumerate(labels())]


def runs(root, wrong_a=range(6), wrong_b=range(4, 20), seeds=(1, 2, 3), **columns):
    """Two conditions; each seed errs on other examples, in a pattern that is the same for both."""
    for rate, wrong in ((1e-4, wrong_a), (5e-5, wrong_b)):
        for seed in seeds:
            made = guesses(wrong, 7 * seed)
            right = sum(a == b for a, b in zip(made, labels(), strict=True)) / N
            run = write(root / f"{rate}-{seed}", seed=seed, accuracy=(right,), optimizer__lr=rate)
            predict(run, labels(), made, **columns)
    return root


def items_of(root, **options):
    asked = {key: options.pop(key) for key in ("metric", "baseline") if key in options}
    return with_items(compare(collect([str(root)]), **asked), ItemOptions(**options))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return items_of(runs(tmp_path_factory.mktemp("items") / "runs"))


def test_difference_of_two_conditions(compared):
    [task] = compared.tasks
    found = task.items
    best, worst = task.conditions
    assert (found.metric, found.split, found.n, found.baseline) == ("eval/accuracy", "eval", N, worst.id)
    assert found.scores[best.id].value == pytest.approx(0.9) and found.scores[worst.id].value == pytest.approx(44 / 60)
    one = found.differences[best.id]
    assert one.value == pytest.approx(10 / 60)
    assert one.low < one.value < one.high and one.p < 0.05 and one.holm == one.p
    assert one.pairs == 3 and one.only == ((14, 4),) * 3 and one.test == "randomisation"
    both = one.both
    assert both.value == one.value and both.of_seeds == 0  # every seed errs as often
    assert 0 < one.detectable < 0.3


def test_one_seed_is_tested_by_mcnemar_and_says_nothing_of_seeds(tmp_path):
    [task] = items_of(runs(tmp_path / "runs", seeds=(1,))).tasks
    [one] = task.items.differences.values()
    assert one.test == "McNemar" and one.both is None
    assert one.p == pytest.approx(2 * sum(math.comb(18, k) for k in range(5)) / 2**18)
    assert any("one run a condition" in note for note in make(task, 3).notes)


def test_corpus_scores_are_tested_themselves(tmp_path):
    root = runs(tmp_path / "runs", seeds=(1, 2))
    for path in root.glob("*/run.json"):
        record = json.loads(path.read_text())
        record["data"]["metrics"] = ["accuracy", "f1"]
        path.write_text(json.dumps(record))
    for path in root.glob("*/result.json"):
        result = json.loads(path.read_text())
        for kind in ("best", "last"):
            result[kind]["eval/f1"] = {"value": 0.5, "step": 100}
        path.write_text(json.dumps(result))
    [task] = items_of(root, metric="f1").tasks
    [one] = task.items.differences.values()
    best, worst = (task.items.scores[condition.id].value for condition in task.conditions)
    assert task.items.metric == "eval/f1" and not one.only
    assert {round(best, 6), round(worst, 6)} == {round(value, 6) for value in _f1s()}


def _f1s():
    from sklearn.metrics import f1_score

    for wrong in (range(6), range(4, 20)):
        yield sum(f1_score(labels(), guesses(wrong, 7 * seed), pos_label="yes") for seed in (1, 2)) / 2


def test_clusters_widen_the_error(tmp_path):
    documents = [f"document {number // 10}" for number in range(N)]
    root = runs(tmp_path / "runs", seeds=(1,), document=documents)
    [plain], [grouped] = items_of(root).tasks, items_of(root, cluster="document").tasks
    assert (plain.items.clusters, grouped.items.clusters) == (None, 6)
    for condition in plain.conditions:
        narrow, wide = (task.items.scores[condition.id] for task in (plain, grouped))
        assert wide.value == pytest.approx(narrow.value) and wide.error > 1.3 * narrow.error
    [one] = grouped.items.differences.values()
    assert one.test == "randomisation"
    assert any("6 clusters are few" in note for note in grouped.items.notes)
    with pytest.raises(ExpError, match=r"no column 'documents'.*'document'"):
        items_of(root, cluster="documents")


def test_runs_on_other_rows_are_not_paired(tmp_path):
    root = runs(tmp_path / "runs", seeds=(1, 2))
    other = write(root / "other", seed=1, accuracy=(0.5,), optimizer__lr=1.0)
    predict(other, labels()[:40], guesses(range(30))[:40])
    [task] = items_of(root, baseline="optimizer.lr=5e-5").tasks
    assert len(task.items.scores) == 2
    assert any("40, where 60 are usual; 40 in common" in note for note in task.items.notes)
    [task] = items_of(root, baseline="optimizer.lr=5e-5", overlap=True).tasks
    assert task.items.n == 40 and len(task.items.differences) == 2
    assert "tested on the 40 rows that all runs have (evaluation sets of 40, 60 rows)" in task.items.notes
    predict(other, labels()[:40], guesses(range(30))[:40], texts=[f"another {number}" for number in range(40)])
    [task] = items_of(root, baseline="optimizer.lr=5e-5").tasks
    assert any(note.endswith("0 in common): not paired") for note in task.items.notes)  # no overlap to offer


def refused(capsys, *words):
    """The one line on stderr."""
    with pytest.raises(SystemExit) as ended:
        command.main(list(words))
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


def test_what_cannot_be_tested_is_said(tmp_path, capsys):
    write(tmp_path / "runs" / "a", seed=1)
    write(tmp_path / "old" / "a", seed=1, first_version=True)
    assert "left no predictions/eval.parquet" in refused(capsys, str(tmp_path / "runs"), "items=true")
    run = write(tmp_path / "one" / "a", seed=1)
    predict(run, ["yes"], ["yes"])
    assert "has one example" in refused(capsys, str(tmp_path / "one"), "items=true")
    assert "cluster=document belongs to items=true" in refused(capsys, str(tmp_path / "runs"), "cluster=document")


def test_ties_and_many_conditions_are_said(tmp_path):
    [task] = items_of(runs(tmp_path / "runs", wrong_b=range(6), seeds=(1,))).tasks
    [one] = task.items.differences.values()
    assert (one.value, one.low, one.high, one.p) == (0.0, 0.0, 0.0, 1.0)
    assert any("all examples tie" in note for note in task.items.notes)
    [task] = items_of(runs(tmp_path / "seeds", wrong_b=range(6))).tasks
    [one] = task.items.differences.values()
    assert (one.value, one.error, one.both.p) == (0.0, 0.0, 1.0) and math.isnan(one.detectable)
    assert any("all examples tie" in note for note in task.items.notes)
    third = write(tmp_path / "runs" / "third", seed=1, accuracy=(0.5,), optimizer__lr=1.0)
    predict(third, labels(), guesses(range(30)))
    [task] = items_of(tmp_path / "runs").tasks
    assert not task.items.differences
    assert any("no baseline: nothing was compared" in note for note in make(task, 3).notes)


def test_tables_page_csv_and_json_have_it(compared):
    [task] = compared.tasks
    shown = make(task, 3)
    assert shown.title == "mrpc, over the 60 examples of eval"
    assert shown.rows[0][2].startswith("0.900 ± 0.0") and shown.rows[1][4] == "baseline"
    [over_items] = payload(compared, Thresholds())["tasks"][0]["evidence"]
    assert over_items["rows"] == make(task, 4).rows
    [row, base] = csv.DictReader(io.StringIO(formats.csv_text(compared)))
    assert float(row["items difference"]) == pytest.approx(1 / 6) and base["items difference"] == ""
    plain = compared.to_json()["tasks"][0]["items"]
    assert plain["differences"][task.conditions[0].id]["both"]["p"] == pytest.approx(
        task.items.differences[task.conditions[0].id].both.p
    )
