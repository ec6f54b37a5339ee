"""Metrics as functions of sums over examples, so that thousands of resamples of a set are one matrix product.

A corpus score such as F1 or BLEU is no mean of scores of single examples, but it is a function of counts that add up
(true positives, matching n-grams). What is no such function (ROC AUC, rank correlations, a metric of one's own) is not
here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exp.metrics import class_sums, likelihood, ranks, squad, text
from exp.metrics.names import COMBINED, MASKED, NEXT, produced
from exp.metrics.scores import in_form
from exp.metrics.sums import Additive, Array, mean, ratio, safe


def additive(
    name: str,
    kind: str,
    predictions: Any,
    references: Any,
    scores: Any = None,
    labels: Sequence[str] | None = None,
    metrics: Sequence[str] = (),
) -> Additive | None:
    """One metric of a task.

    Args:
        name: of the metric, as a run reports it (`f1`, `combined_score`).
        kind, predictions, references, scores, labels: as for `exp.metrics.compute`.
        metrics: all of the task's, for GLUE's mean of them.
    Returns:
        None for a metric that is no function of sums.
    """
    if name == COMBINED:
        own = [key for key in produced(metrics, kind) if key != COMBINED]
        found = [additive(key, kind, predictions, references, scores, labels) for key in own]
        kept = [one for one in found if one is not None]
        return _mean_of(kept) if kept and len(kept) == len(found) else None
    make = MAKERS.get((name, kind))
    if make is None:
        return None
    predictions, references = (in_form(rows, kind, labels) for rows in (predictions, references))
    scores = None if scores is None else np.asarray(scores, dtype=np.float64)
    return make(predictions, references, scores)


def _mean_of(members: Sequence[Additive]) -> Additive:
    ends = np.cumsum([0, *(one.parts.shape[1] for one in members)])

    def score(sums: Array) -> Array:
        each = [one.score(sums[..., ends[at] : ends[at + 1]]) for at, one in enumerate(members)]
        return np.mean(each, axis=0)

    return Additive(np.concatenate([one.parts for one in members], axis=1), score)


# ---- numbers ----


def _r2(predictions: Array, references: Array, scores: Array | None) -> Additive:
    centred = references - references.mean()
    parts = np.stack([np.square(predictions - references), np.square(centred), centred, np.ones(len(centred))], axis=1)

    def score(sums: Array) -> Array:
        total = sums[..., 1] - safe(np.square(sums[..., 2]), sums[..., 3])
        return np.where(total > 0, 1.0 - safe(sums[..., 0], total), 0.0)

    return Additive(parts, score)


def _rmse(predictions: Array, references: Array, scores: Array | None) -> Additive:
    return Additive(mean(np.square(predictions - references)).parts, lambda sums: np.sqrt(ratio(sums)))


def _pearson(predictions: Array, references: Array, scores: Array | None) -> Additive:
    x, y = predictions - predictions.mean(), references - references.mean()
    parts = np.stack([x, y, x * x, y * y, x * y, np.ones(len(x))], axis=1)

    def score(sums: Array) -> Array:
        x, y, xx, yy, xy, n = np.moveaxis(sums, -1, 0)
        spread = np.maximum(xx - safe(x * x, n), 0.0) * np.maximum(yy - safe(y * y, n), 0.0)
        return safe(xy - safe(x * y, n), np.sqrt(spread))

    return Additive(parts, score)


# ---- tags ----


def _words(predictions: list[list[str]], references: list[list[str]], scores: Array | None) -> Additive:
    pairs = zip(predictions, references, strict=True)
    parts = [(sum(a == b for a, b in zip(*pair, strict=True)), len(pair[1])) for pair in pairs]
    return Additive(np.array(parts, dtype=np.float64), ratio)


def _entities(name: str) -> Callable[..., Additive]:
    def make(predictions: list[list[str]], references: list[list[str]], scores: Array | None) -> Additive:
        parts = []
        for guess, right in zip(predictions, references, strict=True):
            found, given = _spans_of(guess), _spans_of(right)
            parts.append((len(found & given), len(found), len(given)))
        sums = np.array(parts, dtype=np.float64)
        return Additive(sums, lambda sums: class_sums.share(name, sums[..., 0], sums[..., 1], sums[..., 2]))

    return make


def _spans_of(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Strict IOB2: an entity begins at a B and takes the I of its own type that follow (seqeval's IOB2)."""
    found, at = set(), 0
    while at < len(tags):
        begin, at = at, at + 1
        if tags[begin].startswith("B-"):
            kind = tags[begin][2:]
            while at < len(tags) and tags[at] == f"I-{kind}":
                at += 1
            found.add((kind, begin, at))
    return found


# ---- texts and likelihoods ----


def _rows_of_text(name: str) -> Callable[..., Additive]:
    return lambda predictions, references, scores: mean(text.of_each_row(name, predictions, references))


def _sacrebleu(name: str) -> Callable[..., Additive]:
    def make(predictions: list[str], references: list[list[str]], scores: Array | None) -> Additive:
        parts, of_sums = text.statistics(name, predictions, references)

        def score(sums: Array) -> Array:
            flat = sums.reshape(-1, sums.shape[-1])
            return np.array([of_sums(row) for row in flat]).reshape(sums.shape[:-1])

        return Additive(parts, score)

    return make


def _of_questions(of_one: Callable[[str, Sequence[str]], float], answerable: bool | None) -> Callable[..., Additive]:
    def make(predictions: list[str], references: list[list[str]], scores: Array | None) -> Additive:
        counted = np.array([answerable in (None, bool(right)) for right in references], dtype=np.float64)
        each = [of_one(*pair) for pair in zip(predictions, references, strict=True)]
        return Additive(np.stack([np.array(each) * counted, counted], axis=1), ratio)

    return make


def _tokens(above: int, below: int, turn: Callable[[Array], Array]) -> Callable[..., Additive]:
    def make(predictions: Array, references: Array, scores: Array | None) -> Additive:
        parts = np.stack([predictions[:, above], references[:, below]], axis=1)
        return Additive(parts, lambda sums: turn(ratio(sums)))

    return make


def _mean_of_each(each: Callable[[Array], Array]) -> Callable[..., Additive]:
    return lambda predictions, references, scores: mean(each(predictions))


def _equal(predictions: Any, references: Any, scores: Any) -> Additive:
    return mean(np.asarray(predictions) == np.asarray(references))


_SQUAD = {"f1": (squad.f1, None), "exact_match": (squad.exact, None)} | {
    f"{who}_{name}": (of_one, who == "HasAns")
    for who in ("HasAns", "NoAns")
    for name, of_one in (("f1", squad.f1), ("exact", squad.exact))
}
MAKERS: dict[tuple[str, str], Callable[..., Additive]] = {
    ("accuracy", "single_label"): _equal,
    ("accuracy", "choices"): _equal,
    **{(name, "single_label"): class_sums.of_class_1(name) for name in ("f1", "precision", "recall")},
    **class_sums.averages("single_label"),
    ("balanced_accuracy", "single_label"): class_sums.of_classes("single_label", class_sums.balanced),
    ("matthews_correlation", "single_label"): class_sums.of_classes("single_label", class_sums.matthews),
    ("cohen_kappa", "single_label"): class_sums.of_classes("single_label", class_sums.kappa),
    ("brier", "single_label"): class_sums.brier,
    ("top_5_accuracy", "single_label"): class_sums.top_5,
    ("log_loss", "single_label"): class_sums.log_loss,
    ("pearson", "regression"): _pearson,
    ("r2", "regression"): _r2,
    ("rmse", "regression"): _rmse,
    ("mse", "regression"): lambda p, r, s: mean(np.square(p - r)),
    ("mae", "regression"): lambda p, r, s: mean(np.abs(p - r)),
    **class_sums.averages("multi_label"),
    ("f1_samples", "multi_label"): class_sums.f1_samples,
    ("subset_accuracy", "multi_label"): lambda p, r, s: mean((p == r).all(axis=1)),
    ("hamming_loss", "multi_label"): lambda p, r, s: mean((p != r).mean(axis=1)),
    ("accuracy", "tags"): _words,
    **{(f"entity_{name}", "tags"): _entities(name) for name in ("f1", "precision", "recall")},
    **{(name, "spans"): _of_questions(*what) for name, what in _SQUAD.items()},
    **{(name, "text"): _rows_of_text(name) for name in text.ROUGE},
    **{(name, "text"): _sacrebleu(name) for name in (*text.BLEU, *text.CHRF)},
    **{("perplexity", kind): _tokens(likelihood.NLL, likelihood.TOKENS, np.exp) for kind in NEXT + MASKED},
    **{("token_accuracy", kind): _tokens(likelihood.RIGHT, likelihood.TOKENS, np.asarray) for kind in NEXT + MASKED},
    ("perplexity_word", NEXT[0]): _tokens(likelihood.NLL, likelihood.WORDS, np.exp),
    ("bits_per_byte", NEXT[0]): _tokens(likelihood.NLL, likelihood.BYTES, lambda nats: nats / np.log(2)),
    ("pearson", "similarity"): _pearson,
    **{key: _mean_of_each(each) for key, each in ranks.EACH.items()},
}
