"""One function a metric and kind of answers: scikit-learn's, SciPy's and seqeval's, under two conventions of ours.

- NaN is not hidden: with a NaN or an infinity among the predictions or probabilities the score is NaN.
- A score that is not defined is 0.0, "knows nothing" (0.5 for ROC AUC), so that an early evaluation of a model that
  answers the same to everything can be compared with later ones.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exp.errors import ExpError
from exp.metrics import likelihood, ranks, squad
from exp.metrics.names import METRICS

Array = NDArray[Any]
Tags = list[list[str]]  # one list of tags a row
Function = Callable[[Any, Any, Any], float]  # (predictions, references, scores), as `exp.metrics.compute` has them


def value(name: str, kind: str, predictions: Any, references: Any, scores: Array | None) -> float:
    """One built-in metric, under both conventions."""
    read: list[Array] = [] if kind in ("tags", "spans") else [predictions, references]
    if METRICS[name].needs_scores:
        assert scores is not None, f"{name} needs the probabilities"
        read = [scores]
    if not all(np.isfinite(numbers).all() for numbers in read):
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a score is not defined is told by its value
        found = float(FUNCTIONS[name, kind](predictions, references, scores))
    return 0.0 if math.isnan(found) else found


def of_each_class(kind: str, predictions: Array, references: Array, labels: Sequence[str] | None) -> dict[str, float]:
    from sklearn.metrics import f1_score

    if kind == "multi_label":
        indices = np.arange(references.shape[1])
    else:
        indices = np.union1d(predictions, references) if labels is None else np.arange(len(labels))
    each = f1_score(references, predictions, labels=indices, average=None, zero_division=0.0)
    names = [str(index) if labels is None else labels[int(index)] for index in indices]
    return {name: float(f1) for name, f1 in zip(names, each, strict=True)}


def of_each_tag(predictions: Tags, references: Tags) -> dict[str, float]:
    """Of every tag that occurs, over words."""
    from sklearn.metrics import f1_score

    found, right = ([tag for row in rows for tag in row] for rows in (predictions, references))
    names = sorted({*found, *right})
    each = f1_score(right, found, labels=names, average=None, zero_division=0.0) if names else []
    return {name: float(f1) for name, f1 in zip(names, each, strict=True)}


def _of_answers(function: str, **options: Any) -> Function:
    def score(predictions: Array, references: Array, scores: Array | None) -> float:
        from sklearn import metrics

        return getattr(metrics, function)(references, predictions, **options)

    return score


def _of_class_1(function: str) -> Function:
    def score(predictions: Array, references: Array, scores: Array | None) -> float:
        from sklearn import metrics

        highest = max(predictions.max(), references.max())
        if highest > 1:
            name = function.removesuffix("_score")
            raise ExpError(f"metric {name!r} is for two classes, and class {highest} occurs; use '{name}_macro'")
        # `labels` and not `pos_label`: that one is refused where class 1 never occurs.
        return getattr(metrics, function)(references, predictions, labels=[1], average="macro", zero_division=0.0)

    return score


def _of_classes(function: str) -> Function:
    """Of the probabilities of all classes, of which not every one has to occur."""

    def score(predictions: Array, references: Array, scores: Array) -> float:
        from sklearn import metrics

        return getattr(metrics, function)(references, scores, labels=np.arange(scores.shape[1]))

    return score


def _top_5(predictions: Array, references: Array, scores: Array) -> float:
    """1.0 where there are five classes at most."""
    from sklearn.metrics import top_k_accuracy_score

    classes = scores.shape[1]
    if classes <= 5:
        return 1.0
    return float(top_k_accuracy_score(references, scores, k=5, labels=np.arange(classes)))


def _of_labels(average: str) -> Function:
    def score(predictions: Array, references: Array, scores: Array) -> float:
        from sklearn.metrics import average_precision_score

        return average_precision_score(references, scores, average=average)

    return score


def _class_auc(predictions: Array, references: Array, scores: Array) -> float:
    """Of class 1 of two; of more classes the mean of each against the rest (`multi_class="ovr"`)."""
    if scores.shape[1] == 2:
        return _label_auc(predictions, references[:, None], scores[:, 1:])
    return _label_auc(predictions, np.eye(scores.shape[1], dtype=np.int64)[references], scores)


def _label_auc(predictions: Array, references: Array, scores: Array) -> float:
    """The mean over the columns where both answers occur: the others have no ROC curve."""
    from sklearn.metrics import roc_auc_score

    both = np.flatnonzero(np.ptp(references, axis=0) > 0)
    return float(np.mean([roc_auc_score(references[:, at], scores[:, at]) for at in both])) if both.size else 0.5


def _correlation(function: str) -> Function:
    def score(predictions: Array, references: Array, scores: Array | None) -> float:
        from scipy import stats

        return getattr(stats, function)(predictions, references).statistic if len(references) > 1 else 0.0

    return score


def _of_words(predictions: Tags, references: Tags, scores: Array | None) -> float:
    from seqeval.metrics import accuracy_score

    return accuracy_score(references, predictions) if any(references) else 0.0


def _of_spans(of_one: Callable[[str, Sequence[str]], float], answerable: bool | None = None) -> Function:
    """The mean over the questions; `answerable`: over those alone that have an answer, or that have none."""

    def score(predictions: list[str], references: list[list[str]], scores: Array | None) -> float:
        pairs = zip(predictions, references, strict=True)
        return float(np.mean([of_one(*pair) for pair in pairs if answerable in (None, bool(pair[1]))] or [0.0]))

    return score


def _averages(kind: str) -> dict[tuple[str, str], Function]:
    return {
        (f"{name}_{average}", kind): _of_answers(f"{name}_score", average=average, zero_division=0.0)
        for name in ("f1", "precision", "recall")
        for average in ("macro", "micro", "weighted")
    }


FUNCTIONS: dict[tuple[str, str], Function] = {
    ("accuracy", "single_label"): _of_answers("accuracy_score"),
    ("f1", "single_label"): _of_class_1("f1_score"),
    ("precision", "single_label"): _of_class_1("precision_score"),
    ("recall", "single_label"): _of_class_1("recall_score"),
    **_averages("single_label"),
    ("balanced_accuracy", "single_label"): _of_answers("balanced_accuracy_score"),
    ("matthews_correlation", "single_label"): _of_answers("matthews_corrcoef"),
    ("cohen_kappa", "single_label"): _of_answers("cohen_kappa_score"),
    ("top_5_accuracy", "single_label"): _top_5,
    ("roc_auc", "single_label"): _class_auc,
    ("brier", "single_label"): _of_classes("brier_score_loss"),
    ("log_loss", "single_label"): _of_classes("log_loss"),
    ("pearson", "regression"): _correlation("pearsonr"),
    ("spearmanr", "regression"): _correlation("spearmanr"),
    ("kendall", "regression"): _correlation("kendalltau"),
    ("r2", "regression"): _of_answers("r2_score"),
    ("mse", "regression"): _of_answers("mean_squared_error"),
    ("rmse", "regression"): _of_answers("root_mean_squared_error"),
    ("mae", "regression"): _of_answers("mean_absolute_error"),
    **_averages("multi_label"),
    ("f1_samples", "multi_label"): _of_answers("f1_score", average="samples", zero_division=0.0),
    ("subset_accuracy", "multi_label"): _of_answers("accuracy_score"),
    ("hamming_loss", "multi_label"): _of_answers("hamming_loss"),
    ("roc_auc", "multi_label"): _label_auc,
    ("average_precision", "multi_label"): _of_labels("macro"),
    ("average_precision_micro", "multi_label"): _of_labels("micro"),
    ("accuracy", "tags"): _of_words,
    ("f1", "spans"): _of_spans(squad.f1),
    ("exact_match", "spans"): _of_spans(squad.exact),
    ("HasAns_f1", "spans"): _of_spans(squad.f1, answerable=True),
    ("HasAns_exact", "spans"): _of_spans(squad.exact, answerable=True),
    ("NoAns_f1", "spans"): _of_spans(squad.f1, answerable=False),
    ("NoAns_exact", "spans"): _of_spans(squad.exact, answerable=False),
    ("accuracy", "choices"): _of_answers("accuracy_score"),
    ("pearson", "similarity"): _correlation("pearsonr"),
    ("spearmanr", "similarity"): _correlation("spearmanr"),
    ("kendall", "similarity"): _correlation("kendalltau"),
    **ranks.FUNCTIONS,
    **likelihood.FUNCTIONS,
}
