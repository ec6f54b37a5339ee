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
import numpy as np
from datasets import Features, Value

from exp.metrics.names import COMBINED, METRICS, check, produced
from exp.metrics.scores import SCORES


class Scores(evaluate.Metric):
    """All metrics of a task at once. Rows are stored as int64, or as float64 for regression."""

    def __init__(self, names: Sequence[str]) -> None:
        if names and names[0] in METRICS:
            check(names, METRICS[names[0]].regression)
        else:
            check(names, False)
        self.names = tuple(names)
        # evaluate makes its folder even for a metric that writes no file; a home may be read-only.
        folder = Path(tempfile.gettempdir()) / "exp-metrics"
        super().__init__(keep_in_memory=True, cache_dir=str(folder))

    def _info(self) -> evaluate.MetricInfo:
        kind = "float64" if METRICS[self.names[0]].regression else "int64"
        return evaluate.MetricInfo(
            description=f"{', '.join(produced(self.names))}, kept in memory",
            citation="",
            features=Features({"predictions": Value(kind), "references": Value(kind)}),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        # Lists and not evaluate's "numpy" format: that one hands out float32.
        kind = np.float64 if METRICS[self.names[0]].regression else np.int64
        predictions, references = np.asarray(predictions, dtype=kind), np.asarray(references, dtype=kind)
        values = {name: SCORES[name](predictions, references) for name in self.names}
        if COMBINED in produced(self.names):
            values[COMBINED] = float(np.mean([values[name] for name in self.names]))
        return values
