"""Precision, recall and F1 of entities in strict IOB2, by seqeval: right where the type and both ends are.

seqeval reads every tag of a set for each of the three; here it reads once what has an entity at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from exp.errors import ExpError

Tags = list[list[str]]  # one list of tags a row
NAMES = ("entity_precision", "entity_recall", "entity_f1")
AVERAGES = ("micro avg", "macro avg", "weighted avg")


def compute(metrics: Sequence[str], predictions: Tags, references: Tags) -> dict[str, float]:
    """name -> micro average, of those `metrics` that are entities'; 0 where there is none.

    Raises ExpError for a tag outside of IOB2.
    """
    if not set(NAMES) & set(metrics):
        return {}
    from seqeval.metrics.v1 import precision_recall_fscore_support
    from seqeval.scheme import IOB2

    wrong = _not_iob2(references, predictions)
    if wrong is not None:
        raise ExpError(
            f"tag {wrong!r} is not IOB2 (O, B-<type> or I-<type>), and entities are counted in it; "
            f"for plain tags use task.metrics=[accuracy]"
        )
    found, right = _with_entities(predictions, references)
    if not found:
        return dict.fromkeys((name for name in metrics if name in NAMES), 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a score is not defined is told by its value
        scores = precision_recall_fscore_support(right, found, average="micro", scheme=IOB2, zero_division=0)
    named = dict(zip(NAMES, scores, strict=False))
    return {name: float(named[name]) for name in metrics if name in named}


def of_each_type(predictions: Tags, references: Tags) -> dict[str, float] | None:
    """F1 of types with an entity among the answers or predictions; None where a tag is not IOB2."""
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    if _not_iob2(predictions, references) is not None:
        return None
    found, right = _with_entities(predictions, references)
    if not found:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = classification_report(right, found, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    return {name: float(row["f1-score"]) for name, row in report.items() if name not in AVERAGES}


def _with_entities(predictions: Tags, references: Tags) -> tuple[Tags, Tags]:
    """The rows with a tag other than O on either side: the others add nothing to any count."""
    rows = [pair for pair in zip(predictions, references, strict=True) if {*pair[0], *pair[1]} - {"O"}]
    return [row for row, _ in rows], [row for _, row in rows]


def _not_iob2(*sets: Tags) -> str | None:
    tags = (tag for rows in sets for row in rows for tag in row)
    return next((tag for tag in tags if tag != "O" and not (tag[:2] in ("B-", "I-") and len(tag) > 2)), None)
