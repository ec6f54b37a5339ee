"""What a score a choice says: the table of a split, its scores and pictures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exp.data.examples import Examples
from exp.metrics import names as metric_names
from exp.task import pictures
from exp.task.base import Answers, Floors, Untuned, named_inputs

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from exp.data.features import FeatureSet
    from exp.metrics.sums import Additive

CHOICES = ("choices", "names")  # of a row, among the inputs: their texts, and what the label column calls them
RESERVED = ("id", "label", "prediction", "scores", *CHOICES)


@dataclass(frozen=True)
class ChoiceReading(Untuned):
    metrics: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return metric_names.produced(self.metrics, "choices")

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """id, label and prediction (a choice's own name, else its number from 0), scores (softmax over the row's
        choices), and the inputs."""
        import numpy as np
        import pyarrow as pa

        names, choices = examples.inputs["names"], examples.inputs["choices"]
        scores = []
        for logits in answers["logits"]:
            shifted = np.exp(logits.astype("float64") - logits.max())
            scores.append(shifted / shifted.sum())
        targets = examples.targets or [None] * len(examples)
        right = [None if one is None else row[one] for one, row in zip(targets, names, strict=True)]
        lists = pa.list_(pa.string())
        columns: dict[str, Any] = {
            "id": [str(one) for one in examples.ids],
            "label": pa.array(right, pa.string()),
            "prediction": pa.array([row[one.argmax()] for row, one in zip(names, scores, strict=True)], pa.string()),
            "scores": pa.array(scores, pa.list_(pa.float64())),
            "choices": pa.array(choices, lists),
            "names": pa.array(names, lists),
        }
        texts = {name: cells for name, cells in examples.inputs.items() if name not in CHOICES}
        return pa.table(columns | named_inputs(texts, RESERVED))

    def score(self, table: pa.Table) -> dict[str, float]:
        from exp import metrics

        return metrics.compute(self.metrics, "choices", *self._numbers(table))

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        from exp.metrics.additive import additive

        return additive(metric, "choices", *self._numbers(table))

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """1.0 where the right choice was taken, else 0.0."""
        predictions, references = (table[name].to_numpy(zero_copy_only=False) for name in ("prediction", "label"))
        return (predictions == references).astype(float)

    def probabilities(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray] | None:
        """Of the choices of each row; 0 where a row has fewer than another."""
        import numpy as np

        rows = table["scores"].to_pylist()
        found = np.zeros((len(rows), max(map(len, rows))))
        for at, row in enumerate(rows):
            found[at, : len(row)] = row
        return found, np.array(self._numbers(table)[1])

    def confidence(self, table: pa.Table) -> np.ndarray | None:
        """The probability of the choice that was taken."""
        import numpy as np

        return np.array([max(row) for row in table["scores"].to_pylist()])

    def chance(self, examples: Examples) -> Floors:
        """Any choice of a row, all of them alike."""
        n = len(examples)
        if examples.targets is None or not n:
            return Floors(None, {})
        counts = [len(row) for row in examples.inputs["choices"]]
        p = sum(1 / count for count in counts) / n
        floor = (p, math.sqrt(p * (1 - p) / n))
        loss = sum(math.log(count) for count in counts) / n
        return Floors(loss, {name: floor for name in self.metrics if name == "accuracy"})

    def pictures(self, table: pa.Table) -> list[pictures.Picture]:
        return []

    def summary(self, table: pa.Table) -> str:
        counts = Counter(table["prediction"].to_pylist())
        return ", ".join(f"{count} {name}" for name, count in counts.most_common())

    def said(self, row: Mapping[str, Any]) -> str:
        """`a pan  a pan 0.901  a hammer 0.099`"""
        ranked = sorted(zip(row["scores"], row["choices"], strict=True), reverse=True)
        return "  ".join([ranked[0][1], *(f"{text} {score:.3f}" for score, text in ranked)])

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        """Choices are joined by a space and a bar, and their scores."""
        rows = []
        for row in table.to_pylist():
            row["scores"] = [f"{score:.6f}" for score in row["scores"]]
            rows.append([" | ".join(cell) if isinstance(cell, list) else cell for cell in row.values()])
        return table.column_names, rows

    def _numbers(self, table: pa.Table) -> tuple[list[int], list[int]]:
        """Of the choices taken, and of the right ones."""
        columns = [table[name].to_pylist() for name in ("names", "prediction", "label")]
        pairs = [(names.index(guess), names.index(label)) for names, guess, label in zip(*columns, strict=True)]
        return [guess for guess, _ in pairs], [label for _, label in pairs]
