"""Question answering: gold answers, windows, the best spans, and the table that they become."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from exp.data.base import HoldOut, RawData
from exp.data.examples import Examples
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.options.confdir import conf_dir
from exp.task.gold import Gold, gold_of
from exp.task.question_answering import QuestionAnswering

CONTEXT = "anna went to paris on monday"


def option(**keys):
    with initialize_config_dir(str(conf_dir())):
        node = OmegaConf.to_container(compose("train", overrides=["task=question_answering"]).task)
    node.pop("_target_")
    return QuestionAnswering(**{**node, **keys})


def rows(*questions, path="q.jsonl"):
    """Each of `questions` is (context, answers) or (context, answers, more columns)."""
    columns = {
        "question": [f"question {number}" for number in range(len(questions))],
        "context": [one[0] for one in questions],
        "answers": [one[1] for one in questions],
    }
    more = [one[2] if len(one) > 2 else {} for one in questions]
    columns |= {key: [one.get(key) for one in more] for key in {key for one in more for key in one}}
    return Rows(Path(path), columns, list(range(1, len(questions) + 1)))


def answers(*texts, context=CONTEXT):
    return {"text": list(texts), "answer_start": [context.index(text) for text in texts]}


NONE = {"text": [], "answer_start": []}


def raw(train, evaluation=None, **more):
    return RawData("q", train, {} if evaluation is None else {"": evaluation}, {}, **more)


# ---- gold answers ----


@pytest.mark.parametrize(
    "cell",
    [
        {"text": ["paris"], "answer_start": [13]},
        {"text": "paris", "answer_start": 13.0},
        [{"text": "paris", "answer_start": 13}],
        '{"text": ["paris"], "answer_start": [13]}',
        "{'text': ['paris'], 'answer_start': [13]}",
    ],
)
def test_answers_in_every_usual_form(cell):
    assert gold_of(rows((CONTEXT, cell)), "answers") == [Gold(["paris"], [13])]


def test_no_answer_is_an_empty_list_or_is_impossible_and_never_plausible():
    found = gold_of(
        rows(
            (CONTEXT, NONE, {"is_impossible": False, "plausible_answers": answers("paris")}),
            (CONTEXT, answers("paris"), {"is_impossible": True}),
            (CONTEXT, [], {"is_impossible": None}),
        ),
        "answers",
    )
    assert found == [Gold([], [])] * 3


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "q.jsonl, line 1: column 'answers' is missing; give"),
        ("paris", "column 'answers' is 'paris'; give"),
        ({"text": ["paris"]}, "column 'answers' is {'text'"),
        ({"text": ["a", "b"], "answer_start": [1]}, "has 2 texts and 1 numbers in answer_start"),
        ({"text": [""], "answer_start": [0]}, "has the text ''; a question without an answer has an empty list"),
        ({"text": ["a"], "answer_start": [None]}, "has None in answer_start"),
        ({"text": ["a"], "answer_start": [float("nan")]}, "has nan in answer_start"),
        ({"text": ["a"], "answer_start": [1.5]}, "has 1.5 in answer_start"),
    ],
)
def test_answers_of_another_shape_are_named(cell, message):
    with pytest.raises(ExpError) as caught:
        gold_of(rows((CONTEXT, cell)), "answers")
    assert message in str(caught.value)


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


# ---- splits ----


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


# ---- windows ----


@pytest.fixture(scope="module")
def tokenizer(minilm):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(minilm)


def windows(tokenizer, contexts, gold, max_length=16, stride=4):
    from exp.task import spans

    questions = ["where ?"] * len(contexts)
    return spans.windows(tokenizer, questions, contexts, gold, list(range(len(contexts))), max_length, stride)


def test_every_window_has_the_question_and_knows_its_place(tokenizer):
    context = " ".join(f"word{n}" for n in range(12))
    made = windows(tokenizer, [CONTEXT, context], [Gold([], []), Gold(["word9"], [context.index("word9")])]).made
    assert made.example.tolist() == sorted(made.example.tolist()) and len(made.example) > 3
    for row, owner in enumerate(made.example):
        ids, (first, cls) = made.fields["input_ids"][row], made.kept["places"][row]
        assert len(ids) <= 16 and ids[cls] == tokenizer.cls_token_id and first == 4  # [CLS] where ? [SEP]
        begin, end = made.kept["begins"][row][0], made.kept["ends"][row][-1]
        shown = tokenizer.decode(ids[first : first + len(made.kept["begins"][row])])
        assert shown.replace("##", "").replace(" ", "") == [CONTEXT, context][owner][begin:end].replace(" ", "")
        start, stop = (made.fields[f"{name}_positions"][row][0] for name in ("start", "end"))
        if start != cls:
            at = made.kept["begins"][row][start - first], made.kept["ends"][row][stop - first]
            assert context[slice(*at)] == "word9"
    labelled = [row for row in range(len(made.example)) if made.fields["start_positions"][row][0] > 0]
    assert labelled and {int(made.example[row]) for row in labelled} == {1}


def test_an_answer_that_no_window_holds_as_a_whole_is_lost(tokenizer):
    context = "one two three four five six seven eight nine ten eleven twelve thirteen"
    assert windows(tokenizer, [context], [Gold([context], [0])]).lost == [0]
    assert windows(tokenizer, [context], [Gold(["three four"], [8])]).lost == []


def test_a_question_that_leaves_no_room_is_refused(tokenizer):
    from exp.task import spans

    long = ["so " * 20, "so"]
    with pytest.raises(ExpError, match=r"the question with the id a has 20 tokens and leaves 0 of task.max_length=16"):
        spans.windows(tokenizer, long, [CONTEXT] * 2, None, ["a", "b"], 16, 4)
    with pytest.raises(ExpError, match=r"leaves 4 .* no more than the task.doc_stride=4"):
        spans.windows(tokenizer, ["so " * 9], [CONTEXT], None, ["a"], 16, 4)
    assert len(spans.windows(tokenizer, ["so " * 9], ["two words"], None, ["a"], 16, 4).made.example) == 1


def test_lost_train_answers_are_refused_or_left_out_and_those_of_evaluation_stay(tokenizer, tmp_path, caplog):
    long = " ".join(f"w{n}" for n in range(30))
    train = rows((long, {"text": [long], "answer_start": [0]}), (CONTEXT, answers("paris")))
    task = option(max_length=16)
    data = task.read(raw(train, train))
    with pytest.raises(ExpError, match=r"1 of 2 answers lie in no window .*\(ids 0\).*task.drop_misaligned=true"):
        task.encode(data, tokenizer, tmp_path)
    encoded = replace(task, drop_misaligned=True).encode(data, tokenizer, tmp_path)
    assert set(encoded.train.example.tolist()) == {1} and set(encoded.evals[""].example.tolist()) == {0, 1}
    assert "evaluation: 1 of 2 answers lie in no window" in caplog.text


# ---- spans and answers ----


def reference(start, end, context, n_best, most):
    """As run_qa's postprocessing: pairs of the best starts and ends, that are in order and not too long."""
    order = [sorted(context, key=lambda at: -one[at])[:n_best] for one in (start, end)]
    pairs = [(start[a] + end[b], a, b) for a in order[0] for b in order[1] if a <= b < a + most]
    return sorted(pairs, reverse=True)[:n_best]


@pytest.mark.parametrize("left", [False, True])
def test_the_best_spans_are_those_of_a_plain_search(left):
    import torch

    from exp.data.features import Ragged
    from exp.task.spans import best_spans

    dice = np.random.default_rng(3)
    lengths, tokens = [9, 14, 5], 14
    mask = torch.zeros(3, tokens, dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, tokens - length if left else 0 :][:length] = 1
    start, end = (torch.tensor(dice.normal(size=(3, tokens))) for _ in range(2))
    begins = [np.arange(length - 4) * 10 for length in lengths]  # [CLS] q [SEP] ... [SEP]
    kept = {
        "begins": Ragged.of(begins, np.int32),
        "ends": Ragged.of([one + 5 for one in begins], np.int32),
        "places": Ragged.of([np.array([3, 0])] * 3, np.int32),
    }
    found = best_spans(SimpleNamespace(start_logits=start, end_logits=end), mask, kept, [0, 1, 2], 4, 3)
    for row, length in enumerate(lengths):
        shift = tokens - length if left else 0
        context = range(shift + 3, shift + length - 1)
        wanted = reference(start[row].tolist(), end[row].tolist(), context, 4, 3)
        assert found.scores[row].tolist() == pytest.approx([score for score, _, _ in wanted], abs=1e-5)
        assert found.begins[row].tolist() == [(a - shift - 3) * 10 for _, a, _ in wanted]
        assert found.ends[row].tolist() == [(b - shift - 3) * 10 + 5 for _, _, b in wanted]
        assert found.nulls[row] == pytest.approx((start[row, shift] + end[row, shift]).item(), abs=1e-5)


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


# ---- the loss ----


def test_padding_takes_no_part_in_the_loss(tokenizer, minilm):
    import torch
    from transformers import AutoModelForQuestionAnswering

    from exp.task import tokens
    from exp.task.spans import SpanCollator, without_padding

    model = AutoModelForQuestionAnswering.from_pretrained(minilm, dtype=torch.float32).eval()
    contexts = [CONTEXT, f"{CONTEXT} and came back on friday"]
    made = windows(tokenizer, contexts, [PARIS, MONDAY], max_length=32).made
    items = [
        {name: field[row].tolist() for name, field in made.fields.items()}
        | {"attention_mask": [1] * len(made.fields["input_ids"][row])}
        for row in range(2)
    ]
    for left in (False, True):
        collate = SpanCollator(tokens.fills(tokenizer), left=left, pad_to_multiple_of=8)
        alone = [
            model(**SpanCollator(tokens.fills(tokenizer), left=False, pad_to_multiple_of=None)([one])) for one in items
        ]
        batch = collate(items)
        output = without_padding(batch, model(**batch))
        assert (output.start_logits[batch["attention_mask"] == 0] == -1e4).all()
        if not left:  # absolute positions move with padding on the left
            assert output.loss.item() == pytest.approx(sum(one.loss.item() for one in alone) / 2, rel=1e-5)
        for row, name in ((0, "start_positions"), (1, "end_positions")):
            word = tokenizer.convert_ids_to_tokens(batch["input_ids"][row, batch[name][row]].item())
            assert word == ("paris" if row == 0 else "monday")


# ---- real files ----


def test_transformers_own_test_inputs(shared_data):
    from exp.data import readers

    folder = shared_data / "fixtures" / "transformers" / "SQUAD"
    flat, nested = (readers.read(folder / name) for name in ("sample.json", "dev-v2.0-small.json"))
    data = option().read(raw(flat, nested))
    assert (len(data.train), len(data.evals[""])) == (14, 14) and data.facts["version_2_with_negative"]
    assert sum(not one.texts for one in data.evals[""].targets) == 6
    assert json.loads(json.dumps(data.evals[""].ids))[0] == "56ddde6b9a695914005b9628"
