"""Embedded data of question answering and multiple choice: the same everywhere, with a known ceiling."""

from __future__ import annotations

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from exp.config.compose import compose
from exp.data.examples import Examples
from exp.data.tastes import Tastes
from exp.data.trips import Trips
from exp.errors import ExpError
from exp.task.assemble import fingerprint


def keys(name, **changed):
    node = OmegaConf.to_container(compose([f"data={name}"]).data)
    node.pop("_target_")
    return {**node, **changed}


def trips(**changed):
    return Trips(**keys("trips", **changed)).read()


def tastes(**changed):
    return Tastes(**keys("tastes", **changed)).read()


@pytest.mark.parametrize(("make", "sum_"), [(trips, "8a31ded0ae30"), (tastes, "bbff8aa15645")])
def test_the_same_rows_on_every_machine(make, sum_):
    raw = make(train_size=50, eval_size=20, test_size=20)
    splits = {"train": raw.train, "eval": raw.evals[""], "test": raw.tests[""]}
    examples = {name: Examples(list(range(len(rows))), rows.columns, None) for name, rows in splits.items()}
    assert fingerprint(examples, None)[:12] == sum_


def test_rows_are_drawn_once_however_many_are_taken(monkeypatch):
    drawn, real = [], Trips.draw
    monkeypatch.setattr(Trips, "draw", lambda source: drawn.append(source) or real(source))
    sizes = {"train_size": 30, "eval_size": 10, "test_size": 10}
    first, second = trips(**sizes), trips(**sizes, max_train_samples=5)
    assert len(drawn) == 1 and second.train == first.train
    assert (first.max_train_samples, second.max_train_samples) == (None, 5)
    assert trips(**sizes, generator_seed=1).train != first.train and len(drawn) == 2


def test_answers_stand_in_their_sentence_and_none_is_a_fifth():
    rows = trips(label_noise=0.0).train
    found = list(zip(rows.columns["context"], rows.columns["answers"], strict=True))
    for context, answer in found:
        for text, start in zip(answer["text"], answer["answer_start"], strict=True):
            assert context[start : start + len(text)] == text and f"not to {text}" not in context
    none = sum(not answer["text"] for _, answer in found) / len(found)
    assert 0.15 < none < 0.25


EMBEDDED = ["reviews", "trips", "tastes", "quiz", "markov_text", "paraphrases", "toy_language", "toy_notes", "tones"]


@pytest.mark.parametrize("name", [*EMBEDDED, "textures"])
def test_an_embedded_set_is_drawn_in_its_own_sizes(name):
    """A generator with too few different rows would draw for ever."""
    source = instantiate(compose([f"data={name}"]).data)
    raw = source.read()
    assert tuple(len(rows) for rows in (raw.train, raw.evals[""], raw.tests[""])) == source.sizes
    assert sum(source.sizes) <= source.most


def test_no_sentence_of_a_trip_comes_twice():
    raw = trips()
    contexts = [text for rows in (raw.train, raw.evals[""], raw.tests[""]) for text in rows.columns["context"]]
    assert len(set(contexts)) == len(contexts)


@pytest.mark.parametrize(("make", "column"), [(trips, "answers"), (tastes, "label")])
def test_a_fixed_number_of_labels_is_wrong(make, column):
    sizes = {"train_size": 100, "eval_size": 50, "test_size": 50}
    clean = make(**sizes, label_noise=0.0).train.columns[column]
    noisy = make(**sizes, label_noise=0.1).train.columns[column]
    assert sum(a != b for a, b in zip(clean, noisy, strict=True)) == 10


def test_wishes_have_two_to_four_choices_and_no_place_is_better():
    rows = tastes().train
    counts = [len(choices) for choices in rows.columns["choices"]]
    assert set(counts) == {2, 3, 4}
    first = sum(label == 0 for label in rows.columns["label"]) / len(rows)
    assert first == pytest.approx(sum(1 / count for count in counts) / len(rows), abs=0.03)


def test_sizes_have_a_limit():
    with pytest.raises(ExpError, match="at most 200,000"):
        trips(train_size=300_000)
