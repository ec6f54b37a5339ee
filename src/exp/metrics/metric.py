"""The metrics as one `evaluate.Metric`, kept in memory.

`evaluate.load("glue", ...)` fetches a script from the Hub and locks files that concurrent runs fight for;
this class does neither.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import evaluate
from datasets import Features, Value
from datasets import Sequence as ListOf

from exp.metrics import likelihood
from exp.metrics.names import METRICS, check, produced
from exp.metrics.scores import compute

ANSWERS = {
    "single_label": Value("int64"),
    "regression": Value("float64"),
    "multi_label": ListOf(Value("int64")),
    "tags": ListOf(Value("string")),
    "text": Value("string"),
    "spans": Value("string"),
    "choices": Value("int64"),
    **{kind: ListOf(Value("float64")) for kind in likelihood.KINDS},
}
REFERENCES = {**ANSWERS, **dict.fromkeys(("text", "spans"), ListOf(Value("string")))}  # a text may have several


class Scores(evaluate.Metric):
    """All metrics of a task at once, over rows that come in batches."""

    def __init__(self, metrics: Sequence[str], kind: str | None) -> None:
        own = [METRICS[name] for name in metrics if name in METRICS]
        self.kind = kind or (own[0].kinds[0] if own else "single_label")
        check(metrics, self.kind)
        self.metrics = tuple(metrics)
        self.needs_scores = any(spec.needs_scores for spec in own)
        # evaluate makes its folder even for a metric that writes no file; a home may be read-only.
        folder = Path(tempfile.gettempdir()) / "exp-metrics"
        super().__init__(keep_in_memory=True, cache_dir=str(folder))

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": ANSWERS[self.kind], "references": REFERENCES[self.kind]}
        if self.needs_scores:
            features["scores"] = ListOf(Value("float64"))
        return evaluate.MetricInfo(
            description=f"{', '.join(produced(self.metrics, self.kind))}, kept in memory",
            citation="",
            features=Features(features),
        )

    def _compute(self, predictions: Any, references: Any, scores: Any = None) -> dict[str, float]:
        return compute(self.metrics, self.kind, predictions, references, scores)
