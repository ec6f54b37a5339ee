"""SQuAD's scores of one answer (Rajpurkar et al. 2016; 2018), and the best threshold of "no answer" for them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalized(answer: str) -> str:
    """In lower case, without ASCII punctuation, English articles and superfluous space, as SQuAD's script has it."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact(prediction: str, references: Sequence[str]) -> float:
    """1.0 where the prediction equals one of the references; none: where it is empty."""
    return float(normalized(prediction) in _gold(references))


def f1(prediction: str, references: Sequence[str]) -> float:
    """The harmonic mean of precision and recall in words, the best over the references."""
    return max(_f1(normalized(prediction).split(), one.split()) for one in _gold(references))


def _gold(references: Sequence[str]) -> list[str]:
    """Of which nothing is left counts for nothing, as in the script of 2.0."""
    return [one for one in map(normalized, references) if one] or [""]


def _f1(prediction: list[str], reference: list[str]) -> float:
    if not prediction or not reference:  # "no answer" agrees with nothing but itself
        return float(prediction == reference)
    shared = (Counter(prediction) & Counter(reference)).total()
    return 2 * shared / (len(prediction) + len(reference))


def best_threshold(
    scores: NDArray[np.float64], answerable: NDArray[np.bool_], differences: NDArray[np.float64], default: float
) -> float:
    """Of the difference above which a question counts as having no answer.

    Args:
        scores: [n] of each question's best span.
        answerable: [n] whether it has an answer; "no answer" scores 1 where it has none.
        differences: [n] score of "no answer" less that of the best span.
        default: the one of equally good thresholds that is nearest to it is taken.
    Returns:
        A number halfway between two differences, so that rounding in their last bits changes no answer; or beyond all.
    """
    order = np.argsort(differences, kind="stable")
    ranked = differences[order]
    gains = np.where(answerable, scores, scores - 1.0)[order]
    totals = np.concatenate([[0.0], np.cumsum(gains)])  # with the first 0, 1, ... n answered
    ends = np.concatenate([[ranked[0] - 1.0], (ranked[:-1] + ranked[1:]) / 2, [ranked[-1] + 1.0]])
    apart = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])  # equal differences are answered together
    best = totals[apart].max()
    if totals[np.searchsorted(ranked, default, side="right")] >= best - 1e-9:
        return default
    good = ends[apart][totals[apart] >= best - 1e-9]
    return float(good[np.argmin(np.abs(good - default))])
