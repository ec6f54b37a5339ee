"""Multiple choice: cells to choices, rows with unequal numbers of them, and the table of answers."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf

from exp.config.compose import compose
from exp.data.base import RawData
from exp.data.examples import Examples
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.task.choices import ChoiceCollator, choices_of, real_choices, right_ones, without_padded_choices
from exp.task.forward import correct_outputs
from exp.task.multiple_choice import MultipleChoice


def option(**keys):
    node = OmegaConf.to_container(compose(["task=multiple_choice"]).task)
    node.pop("_target_")
    return MultipleChoice(**{**node, **keys})


def rows(**columns):
    return Rows(Path("c.jsonl"), columns, list(range(1, len(next(iter(columns.values()))) + 1)))


# ---- cells ----

LETTERED = [{"label": "A", "text": "cat"}, {"label": "B", "text": "dog"}]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (["cat", "dog"], ["0", "1"]),
        (LETTERED, ["A", "B"]),
        ({"label": ["A", "B"], "text": ["cat", "dog"]}, ["A", "B"]),
        ({"text": ["cat", "dog"]}, ["0", "1"]),
        ('["cat", "dog"]', ["0", "1"]),
        ("cat | dog", ["0", "1"]),
    ],
)
def test_choices_in_every_usual_form(cell, names):
    (found,) = choices_of(rows(choices=[cell]), ["choices"])
    assert (found.texts, found.names) == (["cat", "dog"], names)


def test_choices_in_columns_of_their_own_may_be_fewer():
    found = choices_of(rows(a=["x", "x"], b=["y", "y"], c=["z", None]), ["a", "b", "c"])
    assert [one.texts for one in found] == [["x", "y", "z"], ["x", "y"]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"choices": [["cat", None]]}, "c.jsonl, line 1: column 'choices': choice 1 is missing"),
        ({"choices": [["cat", " "]]}, "column 'choices': choice 1 is ' '"),
        ({"choices": [["cat", 3]]}, "choice 1 is 3"),
        ({"choices": [["cat"]]}, "column 'choices': 1 choice; two or more are needed"),
        ({"choices": [[]]}, "no choices; two or more are needed"),
        ({"choices": ["cat"]}, "column 'choices' is 'cat', no list of choices"),
        ({"choices": [None]}, "column 'choices' is missing, no list of choices"),
        ({"choices": [{"texts": ["cat", "dog"]}]}, "did you mean"),
        ({"choices": [{"text": ["cat", "dog"], "label": ["A"]}]}, "2 texts and another number of labels"),
        ({"choices": [[LETTERED[0], LETTERED[0]]]}, "two choices have the label 'A'"),
        ({"a": ["x"], "b": [None], "c": ["z"]}, "the choice in column 'b' is missing"),
        ({"a": ["x"], "b": [None], "c": [""]}, "1 choice; two or more are needed in the columns a, b, c"),
    ],
)
def test_choices_that_are_missing_are_named(columns, message):
    with pytest.raises(ExpError) as caught:
        choices_of(rows(**columns), list(columns))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "choices", "index"),
    [
        (1, ["cat", "dog"], 1),
        ("1", ["cat", "dog"], 1),
        (1.0, ["cat", "dog"], 1),
        ("dog", ["cat", "dog"], 1),
        ("B", LETTERED, 1),
        (0, LETTERED, 0),
        ("1", [{"label": "1", "text": "cat"}, {"label": "2", "text": "dog"}], 0),  # its own names come first
        (1, ["7", "8"], 1),
    ],
)
def test_the_right_choice_by_name_number_or_text(cell, choices, index):
    one = rows(choices=[choices], label=[cell])
    assert right_ones(one, "label", choices_of(one, ["choices"])) == [index]


@pytest.mark.parametrize(
    ("cell", "choices", "message"),
    [
        (2, ["cat", "dog"], "c.jsonl, line 1: label in column 'label' is 2; the row has 2 choices: 0 to 1"),
        (-1, ["cat", "dog"], "is -1; the row has 2 choices"),
        ("C", LETTERED, "is 'C'; the row has 2 choices: A, B"),
        ("cat", ["cat", "cat"], "is 'cat', the text of several choices"),
        (None, ["cat", "dog"], "label in column 'label' is missing"),
        (0.5, ["cat", "dog"], "is 0.5; the row has"),
        (True, ["cat", "dog"], "is True; the row has"),
    ],
)
def test_labels_that_are_no_choice_are_named(cell, choices, message):
    one = rows(choices=[choices], label=[cell])
    with pytest.raises(ExpError) as caught:
        right_ones(one, "label", choices_of(one, ["choices"]))
    assert message in str(caught.value)


def test_a_column_is_named_for_one_thing_only():
    with pytest.raises(ExpError, match="the column 'text' is named for two things"):
        option(context_column="text", choices_column=["a", "text"])


# ---- splits ----


def test_columns_inside_of_objects():
    stem = [{"stem": "who", "choices": LETTERED}, {"stem": "what", "choices": LETTERED}]
    task = option(context_column="question.stem", choices_column="question.choices", label_column="answerKey")
    raw = RawData("q", rows(question=stem, answerKey=["A", "B"]), {"": rows(question=stem, answerKey=["B", "B"])}, {})
    data = task.read(raw)
    assert data.train.inputs == {
        "question.stem": ["who", "what"],
        "choices": [["cat", "dog"]] * 2,
        "names": [["A", "B"]] * 2,
    }
    assert data.train.targets == [0, 1] and task.columns_of({}) == ["answerKey"]


def test_test_rows_may_lack_labels():
    one = rows(context=["c"], choices=[["cat", "dog"]], label=[0])
    bare = rows(context=["c"], choices=[["cat", "dog"]])
    masked = rows(context=["c"], choices=[["cat", "dog"]], label=[-1])
    data = option().read(RawData("q", one, {"": one}, {"a": bare, "b": masked}))
    assert [split.targets for split in data.tests.values()] == [None, None]
    with pytest.raises(ExpError, match="is -1"):
        option().read(RawData("q", masked, {"": one}, {}))


# ---- batches ----

FILLS = {"input_ids": 0, "attention_mask": 0}
ITEMS = [
    {"input_ids": [1, 2, 1, 2, 3], "attention_mask": [1] * 5, "choice_lengths": [2, 3], "labels": 1},
    {"input_ids": [1, 4, 1, 5, 1, 6, 7, 8], "attention_mask": [1] * 8, "choice_lengths": [2, 2, 4], "labels": 0},
]


@pytest.mark.parametrize("left", [False, True])
def test_a_batch_is_padded_to_the_most_choices(left):
    batch = ChoiceCollator(FILLS, left=left, pad_to_multiple_of=None)(ITEMS)
    assert batch["input_ids"].shape == (2, 3, 4) and batch["labels"].tolist() == [1, 0]
    assert batch["input_ids"][0, 1].tolist() == ([0, 1, 2, 3] if left else [1, 2, 3, 0])
    assert batch["input_ids"][0, 2].tolist() == [0, 0, 0, 0]
    assert batch["attention_mask"].sum(-1).tolist() == [[2, 3, 1], [2, 2, 4]]
    assert real_choices(batch["attention_mask"]).tolist() == [[True, True, False], [True] * 3]


def test_padded_choices_change_neither_loss_nor_gradient():
    import torch
    from transformers import BertConfig, BertForMultipleChoice

    torch.manual_seed(1)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForMultipleChoice(BertConfig(vocab_size=9, **sizes)).eval()
    correct_outputs(model, without_padded_choices)

    def loss_and_gradient(*groups):
        model.zero_grad()
        total = 0.0
        for group in groups:
            batch = ChoiceCollator(FILLS, left=False, pad_to_multiple_of=None)(group)
            loss = model(**batch).loss * len(group) / 2
            loss.backward()
            total += loss.item()
        return [
            total,
            *(parameter.grad.norm().item() for parameter in model.parameters() if parameter.grad is not None),
        ]

    assert loss_and_gradient(ITEMS) == pytest.approx(loss_and_gradient(ITEMS[:1], ITEMS[1:]), rel=1e-4, abs=1e-7)
    batch = ChoiceCollator(FILLS, left=False, pad_to_multiple_of=None)(ITEMS)
    assert model(**batch).logits[0, 2].item() == -1e4
    del batch["labels"]
    assert model(**batch).loss is None


def test_each_choice_is_read_with_its_context_and_question(minilm, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm)
    one = rows(context=["it rains"], ask=["she takes"], choices=[["the hat", "a long coat", "it"]], label=[0])
    task = option(question_column="ask")
    encoded = task.encode(task.read(RawData("q", one, {"": one}, {})), tokenizer, tmp_path).train
    item, start, shown = encoded[0], 0, []
    for length in item["choice_lengths"]:
        shown.append(tokenizer.decode(item["input_ids"][start : start + length]))
        start += length
    assert shown == [f"[CLS] it rains [SEP] she takes {choice} [SEP]" for choice in ("the hat", "a long coat", "it")]
    assert item["labels"] == 0 and encoded.lengths == [start]


# ---- the table ----


def table(logits, names, targets):
    examples = Examples(
        list(range(len(names))),
        {"context": ["c"] * len(names), "choices": [[f"text {name}" for name in row] for row in names], "names": names},
        targets,
    )
    reading = option().reading({"metrics": ["accuracy"]})
    return reading, reading.decode(
        {"logits": [np.array(row, np.float32) for row in logits]}, SimpleNamespace(), examples
    )


def test_answers_are_in_the_rows_own_terms():
    reading, found = table([[0.0, 2.0], [1.0, 0.0, 0.0]], [["A", "B"], ["0", "1", "2"]], [1, 2])
    assert found["label"].to_pylist() == ["B", "2"] and found["prediction"].to_pylist() == ["B", "0"]
    assert [sum(row) for row in found["scores"].to_pylist()] == pytest.approx([1.0, 1.0])
    assert reading.score(found) == {"accuracy": 0.5}
    assert reading.item_scores(found).tolist() == [1.0, 0.0]
    header, lines = reading.flat(found)
    assert lines[0][header.index("choices")] == "text A | text B"
    assert reading.said(found.to_pylist()[0]).startswith("text B  text B 0.881")


def test_two_choices_with_the_same_text_are_told_apart():
    reading, found = table([[0.0, 2.0]], [["A", "B"]], [0])
    same = found.set_column(found.column_names.index("choices"), "choices", [[["x", "x"]]])
    assert reading.score(same) == {"accuracy": 0.0}


def test_chance_is_any_choice_of_a_row():
    reading, _ = table([[0.0, 2.0]], [["A", "B"]], [0])
    floors = reading.chance(Examples([0, 1], {"choices": [["a", "b"], ["a", "b", "c", "d"]]}, [0, 1]))
    assert floors.metrics["accuracy"][0] == 0.375 and floors.loss == pytest.approx((math.log(2) + math.log(4)) / 2)


# ---- real files ----


def data_of(*words):
    from hydra.utils import execution_whitelist

    from exp.options.trust import whitelist
    from exp.testing.loops import config_of
    from exp.training.build import build_data

    with execution_whitelist(whitelist()):
        return build_data(config_of(*words, "data.max_train_samples=null", "data.max_eval_samples=null"))


def test_commonsenseqa_in_its_own_format(shared_data):
    data = data_of("data=commonsenseqa", f"data.path={shared_data / 'multiple-choice' / 'commonsenseqa'}")
    assert (len(data.train), len(data.evals[""]), len(data.tests[""])) == (9741, 1221, 1140)
    assert data.tests[""].targets is None
    doubled = sum(len(set(row)) < 5 for row in data.train.inputs["choices"])
    assert doubled == 122 and set(map(len, data.train.inputs["choices"])) == {5}
    assert data.evals[""].inputs["names"][0] == list("ABCDE") and data.evals[""].targets[0] == 0


def test_swag_in_its_own_format(shared_data):
    file = shared_data / "fixtures" / "transformers" / "swag" / "sample.json"
    data = data_of("data=swag", f"data.train_file={file}", f"data.validation_file={file}")
    assert len(data.train) == 10 and data.train.targets[:3] == [0, 3, 1]
    assert data.train.inputs["sent2"][0] == "A drum line"
