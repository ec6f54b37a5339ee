"""Embedded data of sentence embeddings: the same everywhere, in three forms, with a known ceiling."""

from __future__ import annotations

import pytest
from tests.reading import option

from exp.data.examples import Examples
from exp.errors import ExpError
from exp.task.assemble import fingerprint

SMALL = {"train_size": 50, "eval_size": 20, "test_size": 20}


def read(**changed):
    return option("data", "paraphrases", **changed).read()


@pytest.mark.parametrize(
    ("form", "sum_"), [("pairs", "b0ca564ab3e7"), ("triplets", "273f6b13bacd"), ("scores", "61e6b6b8300a")]
)
def test_the_same_rows_on_every_machine(form, sum_):
    raw = read(form=form, **SMALL)
    splits = {"train": raw.train, "eval": raw.evals[""], "test": raw.tests[""]}
    examples = {name: Examples(list(range(len(rows))), rows.columns, None) for name, rows in splits.items()}
    assert fingerprint(examples, None)[:12] == sum_


def test_no_anchor_comes_twice_and_few_partners_are_wrong():
    clean, noisy = (read(label_noise=noise) for noise in (0.0, 0.04))
    anchors = [text for rows in (clean.train, clean.evals[""], clean.tests[""]) for text in rows.columns["anchor"]]
    assert len(set(anchors)) == len(anchors) == 1500
    pairs = zip(clean.train.columns["positive"], noisy.train.columns["positive"], strict=True)
    assert sum(one != other for one, other in pairs) == 40


def test_a_negative_differs_in_one_of_four_and_a_score_counts_the_same_ones():
    triplets = read(form="triplets", label_noise=0.0).train.columns
    for positive, negative in zip(triplets["positive"], triplets["negative"], strict=True):
        pairs = zip(positive.split(), negative.split(), strict=True)
        assert sum(one != other for one, other in pairs) == 1
    scores = read(form="scores", label_noise=0.0).train.columns["score"]
    assert {score: scores.count(score) for score in set(scores)} == dict.fromkeys(range(5), 200)


def test_more_rows_than_there_are_sentences():
    with pytest.raises(ExpError, match="at most 1,500"):
        read(train_size=1400)
