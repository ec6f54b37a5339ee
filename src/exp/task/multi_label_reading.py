"""What any number of labels a text say: the table of a split, its threshold, its scores and pictures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exp.data.examples import Examples
from exp.metrics import names as metric_names
from exp.task import pictures
from exp.task.base import Answers, Floors, named_inputs
from exp.task.one_label import RESERVED

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from exp.data.features import FeatureSet
    from exp.metrics.sums import Additive


@dataclass(frozen=True)
class MultiLabelReading:
    label_names: Sequence[str]
    metrics: tuple[str, ...]
    threshold: float  # of the probability from which a label counts as predicted
    tune: bool

    @property
    def names(self) -> tuple[str, ...]:
        return metric_names.produced(self.metrics, "multi_label")

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """id, label and prediction (lists of names), scores (a probability a label, in the names' order), inputs."""
        import numpy as np
        import pyarrow as pa

        logits = np.stack(list(answers["logits"])).astype("float64")
        scores = 1 / (1 + np.exp(-logits))
        lists, names = pa.list_(pa.string()), self.label_names
        targets = examples.targets or [None] * len(examples)
        known = [
            None if row is None else [name for name, hot in zip(names, row, strict=True) if hot] for row in targets
        ]
        columns: dict[str, Any] = {
            "id": [str(one) for one in examples.ids],
            "label": pa.array(known, lists),
            "prediction": pa.array([[]] * len(examples), lists),
            "scores": pa.array(list(scores), pa.list_(pa.float64())),
        }
        return self.applied(pa.table(columns | named_inputs(examples.inputs, RESERVED)))

    def tuned(self, table: pa.Table) -> tuple[MultiLabelReading, Mapping[str, float]]:
        """With `tune`: the threshold of 0.05, 0.10, ... 0.95 with the best primary metric; the nearest to 0.5 of equal
        ones."""
        if not self.tune or table["label"].null_count:
            return self, {"threshold": self.threshold} if self.tune else {}
        primary, name = replace(self, metrics=self.metrics[:1]), self.names[0]
        greater = metric_names.directions(self.metrics).get(name, metric_names.greater_is_better(name))
        grid = sorted((round(0.05 * step, 2) for step in range(1, 20)), key=lambda at: abs(at - 0.5))
        found = []
        for threshold in grid:
            reading = replace(primary, threshold=threshold)
            found.append(reading.score(reading.applied(table))[name])
        best = grid[found.index(max(found) if greater else min(found))]
        return replace(self, threshold=best), {"threshold": best}

    def applied(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        chosen = self._scores(table) >= self.threshold
        lists = [[name for name, hot in zip(self.label_names, row, strict=True) if hot] for row in chosen]
        at = table.column_names.index("prediction")
        return table.set_column(at, "prediction", pa.array(lists, pa.list_(pa.string())))

    def score(self, table: pa.Table) -> dict[str, float]:
        from exp.metrics.scores import compute

        predictions, references = (self._hot(table[name]) for name in ("prediction", "label"))
        return compute(self.metrics, "multi_label", predictions, references, self._scores(table), self.label_names)

    def by_class(self, table: pa.Table) -> dict[str, float]:
        from exp.metrics.scores import by_class

        predictions, references = (self._hot(table[name]) for name in ("prediction", "label"))
        return by_class("multi_label", predictions, references, self.label_names)

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        from exp.metrics.additive import additive

        predictions, references = (self._hot(table[name]) for name in ("prediction", "label"))
        return additive(metric, "multi_label", predictions, references, self._scores(table), self.label_names)

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """1.0 where all labels of a row are right, else 0.0."""
        return (self._hot(table["prediction"]) == self._hot(table["label"])).all(axis=1).astype(float)

    def probabilities(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray] | None:
        """Of each label of each row, whether it is given."""
        from exp.metrics.calibration import events

        return events(self._scores(table), self._hot(table["label"]))

    def confidence(self, table: pa.Table) -> np.ndarray | None:
        """The mean over labels of the probability of what was said of each, yes or no."""
        import numpy as np

        scores = np.array(table["scores"].to_pylist())
        return np.where(self._hot(table["prediction"]), scores, 1 - scores).mean(axis=1)

    def chance(self, examples: Examples) -> Floors:
        """The best constant answer: the commonest set of labels for subset accuracy, the commonest label for F1.

        The loss is that of an untrained head, ln 2 a label.
        """
        n = len(examples)
        if examples.targets is None or n < 2:
            return Floors(None, {})
        sets = Counter(tuple(row) for row in examples.targets)
        p = max(sets.values()) / n
        shares = [sum(column) / n for column in zip(*examples.targets, strict=True)]
        per_row = sum(shares)  # labels a row
        top = max(shares)
        f1 = 2 * top / (1 + per_row)  # hits n * top, predicted n, given n * per_row
        error = math.sqrt(top * (1 - top) / n)
        known = {"subset_accuracy": (p, math.sqrt(p * (1 - p) / n)), "f1_micro": (f1, error)}
        return Floors(math.log(2), {name: known[name] for name in self.metrics if name in known})

    def pictures(self, table: pa.Table) -> list[pictures.Picture]:
        return []

    def summary(self, table: pa.Table) -> str:
        counts = Counter(name for row in table["prediction"].to_pylist() for name in row)
        return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "no label anywhere"

    def said(self, row: Mapping[str, Any]) -> str:
        """`joy, love  joy 0.812  love 0.633  neutral 0.120`"""
        ranked = sorted(zip(row["scores"], self.label_names, strict=True), reverse=True)[:5]
        return "  ".join([", ".join(row["prediction"]) or "-", *(f"{name} {score:.3f}" for score, name in ranked)])

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        """Labels are joined by a space and a bar; scores get a column a label."""
        inputs = [name for name in table.column_names if name not in RESERVED]
        header = ["id", "label", "prediction", *(f"score_{name}" for name in self.label_names), *inputs]
        rows = []
        for row in table.to_pylist():
            told = [None if row[name] is None else " | ".join(row[name]) for name in ("label", "prediction")]
            rows.append([row["id"], *told, *row["scores"], *(row[name] for name in inputs)])
        return header, rows

    def _hot(self, column: Any) -> np.ndarray:
        import numpy as np

        index = {name: number for number, name in enumerate(self.label_names)}
        hot = np.zeros((len(column), len(index)), dtype=np.int64)
        for row, found in enumerate(column.to_pylist()):
            for name in found or ():
                hot[row, index[name]] = 1
        return hot

    def _scores(self, table: pa.Table) -> np.ndarray:
        import numpy as np

        return np.stack(table["scores"].to_numpy())
