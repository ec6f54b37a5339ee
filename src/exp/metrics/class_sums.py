"""Metrics of classes and labels as functions of sums: true positives, predicted and given, of each class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from exp.metrics.sums import Additive, Array, mean, safe


def _hot(kind: str, predictions: Array, references: Array) -> tuple[Array, Array]:
    if kind == "multi_label":
        return predictions.astype(np.float64), references.astype(np.float64)
    size = int(max(predictions.max(), references.max())) + 1
    eye = np.eye(size)
    return eye[predictions], eye[references]


def of_classes(kind: str, score: Callable[[Array, Array, Array], Array]) -> Callable[..., Additive]:
    """`score` of true positives, predicted and given, each [..., classes]."""

    def make(predictions: Array, references: Array, scores: Array | None) -> Additive:
        guessed, given = _hot(kind, predictions, references)
        parts = np.concatenate([guessed * given, guessed, given], axis=1)
        return Additive(parts, lambda sums: score(*np.split(sums, 3, axis=-1)))

    return make


def share(name: str, hits: Array, guessed: Array, given: Array) -> Array:
    below = {"f1": guessed + given, "precision": guessed, "recall": given}[name]
    return safe(hits * (2.0 if name == "f1" else 1.0), below)


def _average(name: str, average: str, occurring: bool) -> Callable[[Array, Array, Array], Array]:
    """`occurring`: classes that are neither given nor predicted are no part of a macro average."""

    def score(hits: Array, guessed: Array, given: Array) -> Array:
        if average == "micro":
            return share(name, hits.sum(-1), guessed.sum(-1), given.sum(-1))
        each = share(name, hits, guessed, given)
        if average == "weighted":
            return safe((each * given).sum(-1), given.sum(-1))
        counted = (guessed + given > 0).sum(-1) if occurring else np.asarray(each.shape[-1])
        return safe(each.sum(-1), counted.astype(np.float64))

    return score


def of_class_1(name: str) -> Callable[..., Additive]:
    def make(predictions: Array, references: Array, scores: Array | None) -> Additive:
        guessed, given = (predictions == 1).astype(np.float64), (references == 1).astype(np.float64)
        parts = np.stack([guessed * given, guessed, given], axis=1)
        return Additive(parts, lambda sums: share(name, sums[..., 0], sums[..., 1], sums[..., 2]))

    return make


def balanced(hits: Array, guessed: Array, given: Array) -> Array:
    return safe(safe(hits, given).sum(-1), (given > 0).sum(-1).astype(np.float64))


def matthews(hits: Array, guessed: Array, given: Array) -> Array:
    n = given.sum(-1)
    covariance = hits.sum(-1) * n - (guessed * given).sum(-1)
    spread = (n**2 - (guessed**2).sum(-1)) * (n**2 - (given**2).sum(-1))
    return safe(covariance, np.sqrt(np.maximum(spread, 0.0)))


def kappa(hits: Array, guessed: Array, given: Array) -> Array:
    n = given.sum(-1)
    by_chance = safe((guessed * given).sum(-1), n**2)
    return safe(safe(hits.sum(-1), n) - by_chance, 1.0 - by_chance)


def brier(predictions: Array, references: Array, scores: Array) -> Additive:
    each = np.square(scores - np.eye(scores.shape[1])[references]).sum(axis=1)
    return mean(each / 2 if scores.shape[1] == 2 else each)


def log_loss(predictions: Array, references: Array, scores: Array) -> Additive:
    right = scores[np.arange(len(scores)), references] / scores.sum(axis=1)
    return mean(-np.log(np.maximum(right, np.finfo(np.float64).eps)))


def f1_samples(predictions: Array, references: Array, scores: Array | None) -> Additive:
    return mean(share("f1", (predictions * references).sum(1), predictions.sum(1), references.sum(1)))


def top_5(predictions: Array, references: Array, scores: Array) -> Additive:
    """The right class is among the five likeliest; of equal scores the later one counts first, as in scikit-learn."""
    best = np.argsort(scores, axis=1, kind="mergesort")[:, ::-1][:, :5]
    return mean((best == np.asarray(references)[:, None]).any(axis=1))


def averages(kind: str) -> dict[tuple[str, str], Callable[..., Additive]]:
    return {
        (f"{name}_{average}", kind): of_classes(kind, _average(name, average, kind == "single_label"))
        for name in ("f1", "precision", "recall")
        for average in ("macro", "micro", "weighted")
    }
