"""One tag a word: what is read and refused, what the answers are to a reader."""

from __future__ import annotations

import math

import pytest

from exp.data.examples import Examples
from exp.errors import ExpError
from exp.task.pictures import Confusion
from exp.task.tag_reading import TagReading
from tests.reading import option, raw, read, rows
from tests.task.tagged_words import GOOD, NAMES, table, task


def test_words_and_tags_become_indices() -> None:
    data = task().read(raw(table(GOOD, (["a"], ["B-y"]))))
    assert data.labels == ("O", "B-x", "I-x", "B-y", "I-y")  # I-y too, so that it can be predicted
    assert data.train.inputs == {"tokens": [["the", "red", "cat"], ["a"]]}
    assert data.train.targets == [[0, 1, 2], [3]]
    assert data.metrics == ("entity_f1", "entity_precision", "entity_recall", "accuracy")
    assert data.facts["scheme"] == "iob2" and task().head(data).auto_class == "AutoModelForTokenClassification"


def test_plain_tags_are_scored_word_by_word() -> None:
    data = task().read(raw(table((["a", "cat"], ["DET", "NOUN"]))))
    assert (data.labels, data.metrics, data.facts["scheme"]) == (("DET", "NOUN"), ("accuracy",), "plain")
    assert task(scheme="plain").read(raw(table(GOOD))).labels == ("B-x", "I-x", "O")


def test_indices_stand_for_tags_whose_names_were_given() -> None:
    numbered = table((["the", "red", "cat"], [0, 1, 2]))
    for data in (task(label_names=NAMES).read(raw(numbered)), task().read(raw(numbered, label_names=NAMES))):
        assert data.labels == tuple(NAMES) and data.train.targets == [[0, 1, 2]] and data.facts["scheme"] == "iob2"
    with pytest.raises(ExpError, match=r"tag '0' of word 1 .* no IOB2 tag"):
        task().read(raw(table(GOOD), dev=numbered))


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        (["a"], ["O", "O"], "line 2: 2 tags in column 'tags' for 1 words in column 'tokens'"),
        (["a", "b"], ["O"], "line 2: 1 tags in column 'tags' for 2 words"),
        ([], [], "line 2: column 'tokens' holds a sentence without words"),
        ("a b", ["O", "O"], "line 2: column 'tokens' is 'a b', no list of words"),
        (["a", None], ["O", "O"], "line 2: word 2 in column 'tokens' is None, not a text"),
        (["a", 5], ["O", "O"], "line 2: word 2 in column 'tokens' is 5, not a text"),
        (["a"], "O", "line 2: column 'tags' is 'O', no list of tags"),
        (["a"], None, "line 2: column 'tags' is None, no list of tags"),
        (["a"], [None], "line 2: entry 1 of the list in column 'tags' is None, no name"),
        (["a"], [["O"]], r"line 2: entry 1 of the list in column 'tags' is \['O'\], no name"),
        (["a"], ["X-x"], "line 2: tag 'X-x' of word 1 in column 'tags' is no IOB2 tag .* task.scheme=plain"),
        (["a"], ["B-"], "line 2: tag 'B-' of word 1"),
        (["a"], ["I-x"], "line 2: tag 'I-x' of word 1 .* goes on with an entity that no B-x began"),
        (["a", "b"], ["B-y", "I-x"], "line 2: tag 'I-x' of word 2 .* no B-x began"),
        (["a", "b", "c"], ["B-x", "O", "I-x"], "line 2: tag 'I-x' of word 3"),
    ],
)
def test_what_does_not_fit_is_named_with_file_row_and_column(words, tags, message) -> None:
    with pytest.raises(ExpError, match=f"train.jsonl, {message}") as error:
        task().read(raw(table(GOOD, (words, tags))))
    assert "\n" not in str(error.value)


def test_a_slip_does_not_turn_entities_into_plain_tags() -> None:
    """Else entity F1 would be gone without a word."""
    with pytest.raises(ExpError, match="tag 'B_x' of word 1"):
        task().read(raw(table(GOOD, (["a"], ["B_x"]))))
    data = task(scheme="plain").read(raw(table(GOOD, (["a"], ["B_x"]))))
    assert data.metrics == ("accuracy",)


def test_a_tag_that_training_lacks_is_named() -> None:
    dev = table(GOOD, (["a"], ["B-z"]), name="dev.jsonl")
    with pytest.raises(ExpError, match=r"dev.jsonl, line 2: tag 'B-z' of word 1 .* does not occur in training"):
        task().read(raw(table(GOOD), dev=dev))
    with pytest.raises(ExpError, match=r"tag 'B-x' of word 2 .* is none of the names that were given"):
        task(label_names=["O", "B-y", "I-y"]).read(raw(table(GOOD)))


def test_one_tag_alone_cannot_be_learned() -> None:
    with pytest.raises(ExpError, match="every word has the tag 'O' in column 'tags'"):
        task().read(raw(table((["a", "b"], ["O", "O"]))))


def test_near_twins_are_said(caplog) -> None:
    task().read(raw(table((["a", "b", "c"], ["B-x", "B-X", "O"]))))
    assert "labels 'B-X' (1 word) and 'B-x' (1 word) in column 'tags' are different classes" in caplog.text


def test_a_test_set_may_have_no_tags() -> None:
    for unlabelled in (rows(tokens=[["a"], ["b"]]), table((["a"], None), (["b"], []))):
        data = task().read(raw(table(GOOD), test=unlabelled))
        assert data.tests[""].targets is None and data.tests[""].inputs == {"tokens": [["a"], ["b"]]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens_column": "tags", "tags_column": "tags"}, "task.tokens_column=tags is task.tags_column too"),
        ({"label_names": ["O"]}, "two different names"),
        ({"stride": 20, "max_length": 24}, "task.stride=20 leaves no room for new words in task.max_length=24"),
    ],
)
def test_keys_that_contradict_are_refused(changes, message) -> None:
    with pytest.raises(ExpError, match=message):
        task(**changes)


def test_metrics_of_one_label_a_text_are_refused() -> None:
    with pytest.raises(ExpError, match="'f1' is for single_label or spans, and this task is tags"):
        task(metrics=["f1"]).check_metrics({})


def test_typed_words_are_parted_by_spaces() -> None:
    facts = task().read(raw(table(GOOD))).facts
    typed = task().typed(["  a red   cat "], ["tokens"])
    assert task().examples(typed, facts, labelled=False).inputs == {"tokens": [["a", "red", "cat"]]}


def test_wnut17_and_a_treebank_as_they_are_published(shared_data) -> None:
    folder = shared_data / "token-classification"
    data = read(option("data", "wnut17", path=str(folder / "wnut17")), "token_classification")
    assert (len(data.train), len(data.evals[""]), len(data.tests[""])) == (3394, 1009, 1287)
    assert len(data.labels) == 13 and data.labels[:3] == ("O", "B-corporation", "I-corporation")
    speech = read(option("data", "eslspok", path=str(folder / "ud-english-eslspok")), "token_classification")
    assert (len(speech.train), len(speech.labels), speech.metrics) == (1856, 16, ("accuracy",))


def predictions():
    import pyarrow as pa

    lists = {
        "label": [["O", "B-x", "I-x"], ["B-x", "O"], ["O"]],
        "prediction": [["O", "B-x", "I-x"], ["B-x", "I-x"], ["O"]],
        "scores": [[0.5, 0.5, 0.5], [0.5, 0.5], [0.5]],
        "tokens": [["the", "red", "cat"], ["dogs", "run"], ["."]],
    }
    return pa.table({"id": ["0", "1", "2"], **lists})


def test_entity_scores_equal_seqevals_strict_ones() -> None:
    from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    found = predictions()
    pair = (found["label"].to_pylist(), found["prediction"].to_pylist())
    reading = TagReading(NAMES, ("entity_f1", "entity_precision", "entity_recall", "accuracy"), "tokens")
    strict = {"mode": "strict", "scheme": IOB2}
    assert reading.score(found) == {
        "entity_f1": pytest.approx(f1_score(*pair, **strict), abs=1e-12),
        "entity_precision": pytest.approx(precision_score(*pair, **strict), abs=1e-12),
        "entity_recall": pytest.approx(recall_score(*pair, **strict), abs=1e-12),
        "accuracy": pytest.approx(accuracy_score(*pair), abs=1e-12),
    }
    assert reading.score(found)["entity_f1"] == 0.5
    assert reading.item_scores(found).tolist() == [1.0, 0.5, 1.0]
    assert reading.pictures(found) == [Confusion(NAMES, [[2, 0, 1], [0, 2, 0], [0, 0, 1]])]
    assert reading.summary(found) == "2 O, 2 B-x, 2 I-x"


def test_rows_for_csv_and_for_people() -> None:
    reading = TagReading(NAMES, ("accuracy",), "tokens")
    header, cells = reading.flat(predictions())
    assert header == ["id", "word", "text", "label", "prediction", "score"]
    assert len(cells) == 6 and cells[4] == ["1", 1, "run", "O", "I-x", 0.5]
    assert reading.said(predictions().to_pylist()[1]) == "dogs/B-x run/I-x"


def test_what_guessing_gives() -> None:
    reading = TagReading(NAMES, ("entity_f1", "accuracy"), "tokens")
    floors = reading.chance(Examples([0, 1], {"tokens": []}, [[0, 0, 0, 1], [0, 0, 1, 2]]))
    assert floors.loss == pytest.approx(math.log(3))
    assert floors.metrics["accuracy"] == (5 / 8, pytest.approx(math.sqrt(5 / 8 * 3 / 8 / 8)))
    assert floors.metrics["entity_f1"] == (0.0, pytest.approx(1 / math.sqrt(2)))  # two entities


def test_the_logged_entity_f1_is_seqevals_of_the_table(tmp_path) -> None:
    import pyarrow.parquet as pq
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    from exp.testing.loops import run_loop
    from tests.conformance.task_data import token_classification

    words = token_classification(tmp_path / "data")
    recorder, _, _, run = run_loop(tmp_path / "run", *words, "num_train_epochs=6", "optimizer.lr=3e-3")
    found = pq.read_table(run.predictions / "eval.parquet")
    logged = recorder.of("eval/entity_f1")[-1][1]
    pair = (found["label"].to_pylist(), found["prediction"].to_pylist())
    assert logged == pytest.approx(f1_score(*pair, mode="strict", scheme=IOB2), abs=1e-12) and logged > 0.5
    assert all(len(a) == len(b) for a, b in zip(*pair, strict=True))
