"""Question answering: splits, and the table that answers become."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from exp.data.base import HoldOut, RawData
from exp.data.examples import Examples
from exp.errors import ExpError
from exp.task.gold import Gold
from tests.task.questions import CONTEXT, NONE, answers, option, raw, rows


def test_misaligned_answers_are_counted_and_named_or_left_out(caplog):
    wrong = {"text": ["monday", "paris"], "answer_start": [22, 14]}
    train = rows((CONTEXT, answers("paris")), (CONTEXT, wrong), (CONTEXT, {"text": ["x"], "answer_start": [-1]}))
    with pytest.raises(ExpError) as caught:
        option().read(raw(train, rows((CONTEXT, NONE))))
    assert "q.jsonl: 2 of 3 rows have an answer that is not where its answer_start says (line 2, line 3)" in str(
        caught.value
    )
    assert "the first is 'paris' at 14, where 'aris ' stands" in str(caught.value)
    assert "task.drop_misaligned=true" in str(caught.value)
    data = option(drop_misaligned=True).read(raw(train, rows((CONTEXT, NONE))))
    assert data.train.ids == [0] and "left out" in caplog.text


def test_ids_come_from_the_column_id_where_there_is_one():
    train = rows((CONTEXT, NONE, {"id": "a", "key": "k"}))
    assert option().read(raw(train, train)).train.ids == ["a"]
    assert option(id_column="key").read(raw(train, train)).train.ids == ["k"]
    assert option().read(raw(rows((CONTEXT, NONE)), train)).train.ids == [0]


@pytest.mark.parametrize("where", ["title", "context"])
def test_held_out_rows_share_no_article_and_no_context_with_train_rows(where):
    many = [(f"{CONTEXT} {n // 4}", NONE, {"title": f"t{n // 8}" if where == "title" else "t"}) for n in range(80)]
    data = option().read(raw(rows(*many), hold_out=HoldOut(0.25, 1)))
    size = 8 if where == "title" else 4
    train, held = ({n // size for n in split.ids} for split in (data.train, data.evals[""]))
    assert len(data.evals[""]) == 20 // size * size and not train & held


def test_a_context_in_train_and_test_is_told(caplog):
    train = rows((CONTEXT, NONE))
    data = RawData("q", train, {"": train}, {"en": rows((CONTEXT, NONE), ("other text", NONE))})
    option().read(data)
    assert "test en: 1 of 2 questions have a context that was trained on" in caplog.text


@pytest.mark.parametrize(("key", "negative"), [(None, True), (False, False), (True, True)])
def test_whether_no_answer_is_one(key, negative):
    data = option(version_2_with_negative=key).read(raw(rows((CONTEXT, answers("paris"))), rows((CONTEXT, NONE))))
    assert data.facts["version_2_with_negative"] is negative
    assert ("NoAns_f1" in data.metrics) is negative


def test_empty_texts_are_refused():
    with pytest.raises(ExpError, match=r"q\.jsonl, line 1: column 'context' is empty"):
        option().read(raw(rows((" ", NONE))))


def reading(**keys):
    facts = {"inputs": ["question", "context"], "metrics": ["f1", "exact_match"], "version_2_with_negative": True}
    return option(**keys).reading(facts)


def table(of, *windows, golds, owners=None):
    """`windows`: (null score, spans as (score, begin, end))."""
    spans = [list(zip(*found, strict=True)) or [(), (), ()] for _, found in windows]
    made = {name: [one[at] for one in spans] for at, name in enumerate(("scores", "begins", "ends"))}
    examples = Examples(
        list(range(len(golds))), {"question": ["q"] * len(golds), "context": [CONTEXT] * len(golds)}, golds
    )
    owners = np.array(list(range(len(golds))) if owners is None else owners)
    return of.decode({**made, "nulls": [null for null, _ in windows]}, SimpleNamespace(example=owners), examples)


PARIS, MONDAY = Gold(["paris"], [13]), Gold(["monday"], [22])


def test_windows_become_one_answer(tmp_path):
    found = table(
        reading(),
        (5.0, [(3.0, 13, 18), (1.0, 0, 4)]),
        (2.0, [(4.0, 22, 28), (3.0, 13, 18)]),
        golds=[MONDAY],
        owners=[0, 0],
    ).to_pylist()[0]
    assert (found["prediction"], found["start"], found["end"]) == ("monday", 22, 28)
    assert found["null_score_diff"] == -2.0  # the lowest null of all windows
    assert found["score"] == pytest.approx(1 / (1 + np.exp(-1) + np.exp(-3) + np.exp(-2)))
    assert found["label"] == ["monday"] and found["context"] == CONTEXT


def test_nothing_found_is_no_answer():
    found = table(reading(), (1.0, []), golds=[None]).to_pylist()[0]
    assert (found["prediction"], found["start"], found["score"]) == ("", None, 0.0)


def test_the_threshold_is_tuned_recorded_and_used():
    rows = [(5.0, [(4.0, 13, 18)]), (9.0, [(4.0, 13, 18)]), (1.0, [(4.0, 22, 28)])]
    golds = [PARIS, Gold([], []), MONDAY]
    before = reading()
    raw_table = table(before, *rows, golds=golds)
    assert raw_table["prediction"].to_pylist() == ["", "", "monday"]
    tuned, recorded = before.tuned(raw_table)
    assert recorded == {"null_score_diff_threshold": 3.0}
    assert tuned.score(tuned.applied(raw_table)) == {"f1": 1.0, "exact_match": 1.0}
    facts = {"inputs": ["question", "context"], "metrics": ["f1"], "version_2_with_negative": True, "tuned": recorded}
    assert option().reading(facts).threshold == 3.0
    assert reading(tune_threshold=False).tuned(raw_table) == (reading(tune_threshold=False), {})


def test_without_negatives_there_is_always_an_answer():
    facts = {"inputs": ["question", "context"], "metrics": ["f1"], "version_2_with_negative": False}
    found = option().reading(facts)
    made = table(found, (99.0, [(4.0, 13, 18)]), golds=[PARIS])
    assert made["prediction"].to_pylist() == ["paris"] and found.tuned(made) == (found, {})
    assert made["score"].to_pylist() == [1.0]


def test_scores_items_chance_and_words():
    of = reading()
    made = table(of, (0.0, [(4.0, 10, 18)]), (9.0, [(1.0, 0, 4)]), golds=[PARIS, Gold([], [])])
    assert of.item_scores(made).tolist() == pytest.approx([2 / 3, 1.0])  # "to paris" against "paris"
    assert of.summary(made) == "1 answered, 1 without an answer"
    floors = of.chance(Examples([0, 1], {}, [PARIS, Gold([], [])]))
    assert floors.metrics["f1"] == (0.5, pytest.approx(0.354, abs=1e-3))
    (picture,) = of.pictures(made)
    assert picture.counts == [[1, 0], [0, 1]]
    header, lines = of.flat(made)
    assert header[:3] == ["id", "label", "prediction"] and lines[0][:3] == ["0", "paris", "to paris"]


def test_transformers_own_test_inputs(shared_data):
    from exp.data import readers

    folder = shared_data / "fixtures" / "transformers" / "SQUAD"
    flat, nested = (readers.read(folder / name) for name in ("sample.json", "dev-v2.0-small.json"))
    data = option().read(raw(flat, nested))
    assert (len(data.train), len(data.evals[""])) == (14, 14) and data.facts["version_2_with_negative"]
    assert sum(not one.texts for one in data.evals[""].targets) == 6
    assert json.loads(json.dumps(data.evals[""].ids))[0] == "56ddde6b9a695914005b9628"
