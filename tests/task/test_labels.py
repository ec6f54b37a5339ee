"""From label cells to classes: what is refused with its place, what is said, what is left out."""

from __future__ import annotations

import logging
import math

import pytest

from exp.errors import ExpError
from exp.task import labels
from tests.reading import rows


def names_of(cells: list) -> list[str]:
    return labels.class_names(rows(label=cells), "label")


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["b", "a", "b"], ["a", "b"]),
        ([10, 9, 2], ["2", "9", "10"]),
        (["10", "9", "-2"], ["-2", "9", "10"]),
        ([1.0, 0.0, 1], ["0", "1"]),  # what a table with a gap makes of 1
        ([True, False], ["False", "True"]),
        (["1", "one"], ["1", "one"]),
    ],
)
def test_names_are_in_order(cells, names) -> None:
    assert names_of(cells) == names


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a", None], r"train.jsonl, line 2: no label in column 'label'; task.no_label="),
        (["a", ""], "line 2: no label"),
        (["a", math.nan], "line 2: no label"),
        (["a", ["b"]], "line 2: the label in column 'label' is a list; .*task=multi_label task.labels_column=label"),
        (
            ["a", {"b": 1}],
            r"line 2: the label in column 'label' is an object \(\{'b': 1\}\), not a text or a number; put",
        ),
        (["a", "a"], "every row has the label 'a' in column 'label'"),
        ([0.25, 1, 2], "line 1: the label 0.25 .* no class but a number; for scores set task.problem_type=regression"),
        (["1.5", "2.0"], "line 1: the label '1.5'"),
        ([f"text {n}" for n in range(60)], r"60 different labels in 60 rows; are task.text_columns and .* exchanged"),
        ([], "no row has a label in column 'label'"),
    ],
)
def test_what_is_no_class_is_refused_with_its_place(cells, message) -> None:
    with pytest.raises(ExpError, match=message) as error:
        names_of(cells)
    assert "\n" not in str(error.value)


def test_a_label_among_the_texts_is_refused() -> None:
    assert labels.apart("label", ["text"]) == "label"
    with pytest.raises(ExpError, match=r"task.text_columns=\[text, label\] holds the label column 'label'"):
        labels.apart("label", ["text", "label"])


def test_a_message_does_not_print_a_whole_text(tmp_path) -> None:
    long = "a text in place of a label " * 100
    with pytest.raises(ExpError) as error:
        labels.class_indices(rows(label=["a", long]), "label", ["a", "b"])
    assert len(str(error.value)) < 250
    with pytest.raises(ExpError) as error:
        names_of([long, long])
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("cells", "twins"),
    [
        (["yes", "Yes", "no"], ("Yes", "yes")),
        (["yes", "yes ", "no"], ("yes", "yes ")),
        (["a b", "a  b", "c"], ("a  b", "a b")),
        (["1", "1.0", "2"], ("1", "1.0")),
    ],
)
def test_near_twins_are_classes_of_their_own_and_said(cells, twins, caplog) -> None:
    assert len(names_of(cells)) == 3
    first, second = twins
    assert f"labels {first!r} (1 row) and {second!r} (1 row) in column 'label' are different" in caplog.text


def test_a_class_that_may_mean_no_label_is_said(caplog) -> None:
    names_of(["nan", "a", "nan"])
    assert "label 'nan' (2 rows) in column 'label' is a class; task.no_label=[nan] would leave" in caplog.text


def test_ordinary_labels_cause_no_warning(caplog) -> None:
    names_of(["negative", "positive", "neutral"])
    assert caplog.text == ""


def test_rows_without_a_label_are_left_out_and_counted(caplog) -> None:
    caplog.set_level(logging.INFO)
    table = rows(label=["a", "-", None, "b", -1, -1.0, ["c"]], text=list("tuvwxyz"))
    kept = labels.without_unlabelled(table, "label", ["-", -1])
    assert kept.columns["text"] == ["t", "w", "z"] and kept.lines == [1, 4, 7]
    assert "train.jsonl: left out 4 rows without a label" in caplog.text
    assert labels.without_unlabelled(table, "label", None) is table
    assert labels.without_unlabelled(table, "other", ["-"]) is table


def test_an_unknown_label_is_named_with_the_nearest() -> None:
    table = rows(label=["yes", "jes"])
    with pytest.raises(ExpError, match=r"line 2: label 'jes' .* does not occur in training; did you mean 'yes'"):
        labels.class_indices(table, "label", ["no", "yes"])
    with pytest.raises(ExpError, match=r"is not in task.label_names=\[no, yes\]"):
        labels.class_indices(table, "label", ["no", "yes"], key="task.label_names")


def test_indices_stand_for_names_only_where_names_were_given() -> None:
    table = rows(label=[1, "0", "b", 1.0])
    assert labels.class_indices(table, "label", ["a", "b"], by_index=True) == [1, 0, 1, 1]
    with pytest.raises(ExpError, match=r"label '1' .* does not occur in training"):
        labels.class_indices(table, "label", ["a", "b"])
    # Where names are numbers, a number is a name.
    assert labels.class_indices(rows(label=[1, 2]), "label", ["2", "1"], by_index=True) == [1, 0]


def test_scores_are_finite_numbers() -> None:
    assert labels.scores(rows(label=[1, "2.5", 3.0]), "label") == [1.0, 2.5, 3.0]
    for cell in ("x", None, True, math.inf, "nan", [1]):
        with pytest.raises(ExpError, match=r"line 2: .* in column 'label' is not a number"):
            labels.scores(rows(label=[1, cell]), "label")


@pytest.mark.parametrize(
    ("cells", "names", "no_label", "labelled"),
    [
        ([None, ""], ["a", "b"], None, False),
        ([-1, "-1"], ["a", "b"], None, False),
        ([-1, -1.0], None, None, False),  # a regression's placeholders
        (["-", "-"], ["a", "b"], ["-"], False),
        ([-1, 1], ["-1", "1"], None, True),  # -1 is a class here
        ([None, "a"], ["a", "b"], None, True),
    ],
)
def test_whether_a_test_set_has_labels(cells, names, no_label, labelled) -> None:
    assert labels.is_labelled(rows(label=cells), "label", names, no_label) == labelled
    assert not labels.is_labelled(rows(text=["a"]), "label", names, no_label)
