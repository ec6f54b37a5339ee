"""The metrics of a task over the rows of one set. No torch here: the reading half computes them too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exp.errors import ExpError
from exp.metrics import entities, likelihood, outside, ranks, text
from exp.metrics.functions import of_each_class, of_each_tag, value
from exp.metrics.names import COMBINED, KINDS, LOSS, produced

NUMBERS = ("regression", "similarity", *ranks.KINDS, *likelihood.KINDS)  # kinds whose answers are numbers, not classes
# Of metrics that share what they read of a row.
TOGETHER: dict[str, Callable[..., dict[str, float]]] = {"text": text.compute, "tags": entities.compute}


def compute(
    metrics: Sequence[str],
    kind: str,
    predictions: Any,
    references: Any,
    scores: Any = None,
    labels: Sequence[str] | None = None,
) -> dict[str, float]:
    """All metrics of a task.

    Args:
        metrics: entries of `task.metrics` that `exp.metrics.names.check` let pass.
        kind: what the answers are, one of `exp.metrics.names.KINDS`.
        predictions: [n] class indices or names (single_label), [n] numbers (regression), [n, labels] of 0 and 1
            (multi_label), a list of n lists of tags (tags), sums over tokens (exp.metrics.likelihood), n texts (text,
            spans), [n] indices of choices (choices), [n] cosines (similarity), or ranks (exp.metrics.ranks).
        references: the right answers, in the same form; of a text or a span a list, of texts that are all right.
        scores: [n, classes] probabilities, each row summing to 1 (single_label), or [n, labels] (multi_label);
            needed where `exp.metrics.names.METRICS[name].needs_scores`.
        labels: the names of the classes or labels, in the order of their indices.
    Returns:
        name -> value, with the keys of `exp.metrics.names.produced`; an outside metric may add more.
    Raises:
        ExpError: for no rows, a class that is not among the labels, a tag outside of IOB2 where entities are
            counted, and an outside metric that returns no number.
    """
    assert kind in KINDS, kind
    if not len(references):
        raise ExpError("there are no rows to score")
    predictions, references = (in_form(rows, kind, labels) for rows in (predictions, references))
    scores = None if scores is None else np.asarray(scores, dtype=np.float64)
    together = TOGETHER.get(kind)
    values: dict[str, float] = {} if together is None else together(metrics, predictions, references)
    for name in metrics:
        if name in values:
            continue
        if outside.is_outside(name):
            _add_outside(values, name, predictions, references)
        else:
            values[name] = value(name, kind, predictions, references, scores)
    keys = produced(metrics, kind)
    if COMBINED in keys:
        values[COMBINED] = float(np.mean([values[key] for key in keys if key != COMBINED]))
    return values


def by_class(kind: str, predictions: Any, references: Any, labels: Sequence[str] | None = None) -> dict[str, float]:
    """F1 of every class, label or type of entity, by its name; of plain tags each tag's; empty for numbers and texts.

    Args: as for `compute`. Without `labels` the names are indices, and only classes that occur are told.
    """
    if kind in ("text", "spans", "choices") or kind in NUMBERS:
        return {}
    predictions, references = (in_form(rows, kind, labels) for rows in (predictions, references))
    if kind == "tags":
        types = entities.of_each_type(predictions, references)
        return of_each_tag(predictions, references) if types is None else types
    return of_each_class(kind, predictions, references, labels)


def in_form(rows: Any, kind: str, labels: Sequence[str] | None) -> Any:
    """Predictions or references as the metrics read them: names of classes become indices, numbers an array."""
    if kind == "tags":
        return [[str(tag) for tag in row] for row in rows]
    if kind in ("text", "spans"):
        return list(rows)
    if kind in NUMBERS:
        return np.asarray(rows, dtype=np.float64)
    found = np.asarray(rows)
    if found.dtype.kind not in "UO":
        return found.astype(np.int64)
    index = {name: at for at, name in enumerate(labels or [])}
    unknown = next((name for name in found if name not in index), None)
    if unknown is not None:
        raise ExpError(f"class {str(unknown)!r} is none of the labels: {', '.join(index) or 'none was given'}")
    return np.array([index[name] for name in found], dtype=np.int64)


def _add_outside(values: dict[str, float], name: str, predictions: Any, references: Any) -> None:
    """A number beside the metric's own never replaces another metric: its name then begins with the metric's."""
    short = outside.short_name(name)
    for key, number in outside.compute(name, predictions, references).items():
        free = key == short or key not in {*values, LOSS, COMBINED}
        values[key if free else f"{short}_{key}"] = number
