"""The reading half of one label a row: what was predicted and what it is worth. Texts, images and sound share it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
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

RESERVED = ("id", "label", "prediction", "scores")  # columns of predictions/*.parquet


@dataclass(frozen=True)
class OneLabelReading(Untuned):
    label_names: Sequence[str] | None  # by index; None: regression
    metrics: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return metric_names.produced(self.metrics, "regression" if self.label_names is None else "single_label")

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """id, label (null where unknown), prediction, scores, and the inputs.

        `scores` is the softmax over classes in the order of the label names; in regression it is empty.
        """
        import numpy as np
        import pyarrow as pa

        logits = np.stack(list(answers["logits"]))
        columns: dict[str, Any] = {"id": [str(one) for one in examples.ids]}
        targets: Any = [None] * len(examples) if examples.targets is None else examples.targets
        if self.label_names is None:
            columns["label"] = pa.array(targets, pa.float64())
            columns["prediction"] = pa.array(logits[:, 0], pa.float64())
            columns["scores"] = pa.array([[]] * len(examples), pa.list_(pa.float64()))
        else:
            names = list(self.label_names)
            shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
            scores = (shifted / shifted.sum(axis=1, keepdims=True)).astype("float64")
            columns["label"] = pa.array([None if i is None else names[i] for i in targets], pa.string())
            columns["prediction"] = pa.array([names[i] for i in logits.argmax(axis=1)], pa.string())
            columns["scores"] = pa.array(list(scores), pa.list_(pa.float64()))
        return pa.table(columns | named_inputs(examples.inputs, RESERVED))

    def score(self, table: pa.Table) -> dict[str, float]:
        from exp.metrics.scores import compute

        if self.label_names is None:
            predictions, references = (table[name].to_numpy() for name in ("prediction", "label"))
            return compute(self.metrics, "regression", predictions, references)
        predictions, references = (self._indices(table[name]) for name in ("prediction", "label"))
        scores = self._stacked(table)
        return compute(self.metrics, "single_label", predictions, references, scores, self.label_names)

    def by_class(self, table: pa.Table) -> dict[str, float]:
        from exp.metrics.scores import by_class

        if self.label_names is None:
            return {}
        predictions, references = (self._indices(table[name]) for name in ("prediction", "label"))
        return by_class("single_label", predictions, references, self.label_names)

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        from exp.metrics.additive import additive

        if self.label_names is None:
            guesses, right = (table[name].to_numpy() for name in ("prediction", "label"))
            return additive(metric, "regression", guesses, right, metrics=self.metrics)
        guesses, right = (self._indices(table[name]) for name in ("prediction", "label"))
        scores = self._stacked(table) if metric_names.needs_scores(metric) else None  # a third of the time
        return additive(metric, "single_label", guesses, right, scores, self.label_names, self.metrics)

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """1.0 where the prediction is right, else 0.0; in regression the negative squared error."""
        import numpy as np

        predictions, references = (table[name].to_numpy(zero_copy_only=False) for name in ("prediction", "label"))
        if self.label_names is None:
            return -np.square(predictions - references)
        return (predictions == references).astype(float)

    def probabilities(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray] | None:
        scores = None if self.label_names is None else self._stacked(table)
        return None if scores is None else (scores, self._indices(table["label"]))

    def confidence(self, table: pa.Table) -> np.ndarray | None:
        """The probability of the predicted class; None in regression."""
        import numpy as np

        return None if self.label_names is None else np.array([max(row) for row in table["scores"].to_pylist()])

    def chance(self, examples: Examples) -> Floors:
        """Accuracy: the commonest label's share p, with sqrt(p (1 - p) / n). Correlations: 0, with 1 / sqrt(n - 1),
        the standard error under independence (for Matthews correlation through chi squared: phi = sqrt(chi2 / n))."""
        n = len(examples)
        known: dict[str, tuple[float, float]] = {}
        if examples.targets is None or n < 2:
            return Floors(None, {})
        if self.label_names is not None:
            p = max(Counter(examples.targets).values()) / n
            known["accuracy"] = (p, math.sqrt(p * (1 - p) / n))
        for name in ("matthews_correlation", "pearson", "spearmanr"):
            known[name] = (0.0, 1 / math.sqrt(n - 1))
        loss = None if self.label_names is None else math.log(len(self.label_names))
        return Floors(loss, {name: known[name] for name in self.metrics if name in known})

    def pictures(self, table: pa.Table) -> list[pictures.Picture]:
        label, prediction = (table[name].to_pylist() for name in ("label", "prediction"))
        if self.label_names is None:
            return pictures.scatter(label, prediction)
        return pictures.confusion(label, prediction, self.label_names)

    def summary(self, table: pa.Table) -> str:
        predictions = table["prediction"].to_pylist()
        if self.label_names is None:
            return f"mean {sum(predictions) / len(predictions):.4f}"
        return ", ".join(f"{count} {name}" for name, count in Counter(predictions).most_common())

    def said(self, row: Mapping[str, Any]) -> str:
        """`positive  positive 0.981  negative 0.019`, or a score."""
        if self.label_names is None:
            return f"{row['prediction']:.4f}"
        ranked = sorted(zip(row["scores"], self.label_names, strict=True), reverse=True)
        return "  ".join([row["prediction"], *(f"{name} {score:.3f}" for score, name in ranked)])

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        """Scores get a column a label."""
        inputs = [name for name in table.column_names if name not in RESERVED]
        header = ["id", "label", "prediction", *(f"score_{name}" for name in self.label_names or ()), *inputs]
        rows = [
            [row["id"], row["label"], row["prediction"], *row["scores"], *(row[name] for name in inputs)]
            for row in table.to_pylist()
        ]
        return header, rows

    def _stacked(self, table: pa.Table) -> np.ndarray | None:
        """[n, labels] probabilities; None where there is no row, or an older run kept none."""
        import numpy as np

        if not len(table) or "scores" not in table.column_names:
            return None
        return np.stack(table["scores"].to_numpy())

    def _indices(self, column: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        return pc.index_in(column.combine_chunks(), value_set=pa.array(list(self.label_names or ()))).to_numpy()
