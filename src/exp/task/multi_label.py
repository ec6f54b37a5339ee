"""Any number of labels a text or a pair of texts: a sigmoid a label, and a threshold."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Le, Len, Lt

from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows, shortened
from exp.errors import ExpError, nearest
from exp.metrics import names as metric_names
from exp.task import labels, pictures, terms
from exp.task.assemble import assemble, read_splits, warn_of_blanks
from exp.task.base import Answers, Floors, Head, named_inputs
from exp.task.one_label import RESERVED
from exp.task.text_classification import MAX_LENGTH, TEXT_COLUMNS, TextClassification
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from exp.data.base import RawData
    from exp.data.collate import Collator
    from exp.data.features import FeatureSet
    from exp.metrics.sums import Additive

log = logging.getLogger("exp")
LABELS_COLUMN = "labels"
METRICS = ("f1_micro", "f1_macro", "subset_accuracy")


@dataclass(frozen=True)
class MultiLabel:
    """See conf/task/multi_label.yaml for the keys."""

    text_columns: Annotated[list[str], Len(1, 2)] | None
    labels_column: str | None
    separator: str | None
    label_names: list[str | int] | None
    threshold: Annotated[float, Gt(0), Lt(1)]
    tune_threshold: bool
    metrics: list[str] | None
    max_length: Annotated[int, Ge(8), Le(MOST_TOKENS)] | None

    def __post_init__(self) -> None:
        if self.labels_column in (self.text_columns or []):
            raise ExpError(f"task.labels_column={self.labels_column} is one of task.text_columns too")
        if self.separator == "":
            raise ExpError("task.separator is empty; give the sign between two labels, e.g. task.separator=','")
        labels.check_names(self.label_names)

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        texts = self.text_columns or roles.get("text_columns") or TEXT_COLUMNS
        return [*texts, labels.apart(self._column(roles), texts)]

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        named = tuple(self.metrics or roles.get("metrics") or METRICS)
        metric_names.check(named, "multi_label")
        return named

    def read(self, raw: RawData) -> TaskData:
        column = self._column(raw.roles)
        asked = self.label_names or raw.roles.get("label_names")
        separator = self.separator or raw.roles.get("separator")
        names = [str(name) for name in asked] if asked else _names(raw.train, column, separator)
        inputs = list(self.text_columns or raw.roles.get("text_columns") or TEXT_COLUMNS)
        facts = {
            "inputs": inputs,
            "label_column": column,
            "label_names": names,
            "labels_by_index": bool(asked),
            "separator": separator,
        }

        data = assemble(
            raw,
            read_splits(raw, partial(self.examples, facts=facts)),
            labels=names,
            metrics=self.check_metrics(raw.roles),
            max_length=self.max_length or raw.roles.get("max_length") or MAX_LENGTH,
            facts=facts,
        )
        warn_of_blanks(data)
        return data

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        column, names = facts["label_column"], facts["label_names"]
        inputs = {name: rows.texts(name) for name in facts["inputs"]}
        if not labelled and all(cell in labels.MISSING for cell in labels.cells_of(rows, column)):
            return Examples(list(range(len(rows))), inputs, None)
        index = labels.index_of(names, facts["labels_by_index"])
        targets = []
        for row in range(len(rows)):
            hot = [0.0] * len(names)
            for name in _labels(rows, column, row, facts["separator"]):
                if name not in index:
                    raise ExpError(
                        f"{rows.where(row)}: label {shortened(name)} in column {column!r} is none of the "
                        f"{len(names)} labels{nearest(name, names)}"
                    )
                hot[index[name]] = 1.0
            targets.append(hot)
        return Examples(list(range(len(rows))), inputs, targets)

    def head(self, data: TaskData) -> Head:
        return Head(
            auto_class="AutoModelForSequenceClassification",
            labels=data.labels,
            problem_type="multi_label_classification",
            peft_task="SEQ_CLS",
            pipeline="text-classification",
            max_length=data.max_length,
            terms=terms.SEVERAL,
        )

    # As for one label a text: the same features, units and answers.
    encode = TextClassification.encode
    units = TextClassification.units
    answer = TextClassification.answer
    typed = TextClassification.typed

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator:
        return TextClassification.collate(self, processor, pad_to_multiple_of, None)  # type: ignore[arg-type]

    def reading(self, facts: Mapping[str, Any]) -> MultiLabelReading:
        threshold = (facts.get("tuned") or {}).get("threshold", self.threshold)
        return MultiLabelReading(facts["label_names"], tuple(facts["metrics"]), threshold, self.tune_threshold)

    def _column(self, roles: Mapping[str, Any]) -> str:
        return self.labels_column or roles.get("labels_column") or LABELS_COLUMN


def _labels(rows: Rows, column: str, row: int, separator: str | None) -> list[str]:
    cell = rows.column(column)[row]
    if isinstance(cell, list):
        return labels.names_in(cell, rows, column, row)
    if isinstance(cell, str) and separator is not None:
        return [part.strip() for part in cell.split(separator) if part.strip()]
    if isinstance(cell, str) and cell:
        raise ExpError(
            f"{rows.where(row)}: column {column!r} holds the text {shortened(cell)}, no list of labels; for labels "
            f"with a sign between them set task.separator, e.g. task.separator=','"
        )
    raise ExpError(f"{rows.where(row)}: column {column!r} is {shortened(cell)}, no list of labels; [] means none")


def _names(rows: Rows, column: str, separator: str | None) -> list[str]:
    counts = Counter(name for row in range(len(rows)) for name in _labels(rows, column, row, separator))
    if len(counts) < 2:
        raise ExpError(f"{rows.path}: column {column!r} holds {len(counts)} different labels; two or more are needed")
    labels.warn_of_twins(counts, column)
    return labels.in_order(counts)


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
