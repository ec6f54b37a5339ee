"""Sums over examples give what the libraries give, for every metric that is a function of them."""

from __future__ import annotations

import numpy as np
import pytest

from exp.metrics.additive import MAKERS, additive
from exp.metrics.names import COMBINED, METRICS
from exp.metrics.scores import compute

DICE = np.random.default_rng(5)
TAGS = ["O", "B-a", "I-a", "B-b", "I-b"]
TEXTS = ["the cat sat on the mat", "a dog ran", "the cat sat", "a dog ran home today", "red and blue", "the mat"]


def answers(kind, n=60):
    """Predictions, references and scores in the form of `exp.metrics.compute`."""
    if kind == "single_label":
        scores = DICE.dirichlet(np.ones(3), size=n)
        return scores.argmax(1), DICE.integers(0, 3, n), scores
    if kind in ("ranks", "triplets"):
        ranks = DICE.integers(1, 15, n)
        guessed = ranks if kind == "ranks" else np.stack([ranks, DICE.integers(-2, 3, n)], axis=1)
        return guessed.astype(float), np.full(n, 20), None
    if kind in ("regression", "similarity"):
        truth = DICE.normal(3, 1, n)
        return truth + DICE.normal(0, 1, n), truth, None
    if kind == "multi_label":
        scores = DICE.random((n, 4))
        return (scores > 0.5).astype(int), (DICE.random((n, 4)) > 0.6).astype(int), scores
    if kind == "tags":
        rows = [[[str(tag) for tag in DICE.choice(TAGS, size)] for size in DICE.integers(1, 12, n)] for _ in range(2)]
        rows[0] = [(a * 12)[: len(b)] for a, b in zip(*rows, strict=True)]
        return *rows, None
    if kind == "text":
        picked = [[TEXTS[at] for at in DICE.integers(0, len(TEXTS), n)] for _ in range(3)]
        return picked[0], [list(two) for two in zip(picked[1], picked[2], strict=True)], None
    if kind == "spans":
        picked = [TEXTS[at] for at in DICE.integers(0, len(TEXTS), n)]
        return picked, [[] if at % 3 == 0 else [TEXTS[at % 6], "cat"] for at in range(n)], None
    if kind == "choices":
        return DICE.integers(0, 4, n), DICE.integers(0, 4, n), None
    tokens = DICE.integers(3, 20, n)
    guessed = np.stack([DICE.random(n) * tokens, DICE.integers(0, 4, n)], axis=1)
    return guessed, np.stack([tokens, tokens, tokens * 5], axis=1).astype(float), None


@pytest.mark.parametrize("name, kind", sorted(MAKERS))
def test_sums_give_the_librarys_value(name, kind):
    predictions, references, scores = answers(kind)
    if kind == "single_label" and name in ("f1", "precision", "recall", "roc_auc"):
        predictions, references = predictions % 2, references % 2
    expected = compute([name], kind, predictions, references, scores)[name]
    found = additive(name, kind, predictions, references, scores)
    assert found.value == pytest.approx(expected, abs=1e-9)
    # Sums of a resample, many at once, are scores of that resample.
    picked = [DICE.integers(0, len(references), len(references)) for _ in range(2)]
    several = found.score(np.stack([found.parts[rows].sum(0) for rows in picked]))
    taken = [
        [[rows[at] for at in which] if isinstance(rows, list) else rows[which] for rows in (predictions, references)]
        for which in picked
    ]
    for value, which, (guesses, truths) in zip(several, picked, taken, strict=True):
        again = compute([name], kind, guesses, truths, None if scores is None else scores[which])[name]
        # A class that a resample lacks is no part of scikit-learn's average over the classes that occur.
        assert value == pytest.approx(again, abs=1e-9)


@pytest.mark.parametrize("metrics", [["accuracy", "f1"], ["accuracy", "top_5_accuracy", "f1_macro"]], ids=str)
def test_the_mean_of_several(metrics):
    scores = DICE.dirichlet(np.ones(2 if "f1" in metrics else 10), size=60)
    guesses, truths = scores.argmax(1), DICE.integers(0, scores.shape[1], 60)
    found = additive(COMBINED, "single_label", guesses, truths, scores, metrics=metrics)
    assert found.value == pytest.approx(compute(metrics, "single_label", guesses, truths, scores)[COMBINED])


def test_what_does_not_add_up():
    kinds = {kind for _, kind in MAKERS}
    own = {name: set(spec.kinds) & kinds for name, spec in METRICS.items()}
    rest = {name for name, among in own.items() if among and all((name, kind) not in MAKERS for kind in among)}
    assert rest == {"roc_auc", "spearmanr", "kendall", "average_precision", "average_precision_micro"}
    assert additive("spearmanr", "regression", *answers("regression")) is None
