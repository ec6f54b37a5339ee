"""Windows over a context, the best spans in them, and the loss of their ends."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from exp.errors import ExpError
from exp.task.gold import Gold
from tests.task.questions import CONTEXT, answers, option, raw, rows


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


def test_padding_takes_no_part_in_the_loss(tokenizer, minilm):
    import torch
    from transformers import AutoModelForQuestionAnswering

    from exp.task import tokens
    from exp.task.spans import SpanCollator, without_padding

    model = AutoModelForQuestionAnswering.from_pretrained(minilm, dtype=torch.float32).eval()
    contexts = [CONTEXT, f"{CONTEXT} and came back on friday"]
    made = windows(tokenizer, contexts, [Gold(["paris"], [13]), Gold(["monday"], [22])], max_length=32).made
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
