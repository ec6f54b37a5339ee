"""Any number of labels a text or a pair of texts: a sigmoid a label, and a threshold."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Le, Len, Lt

from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows, shortened
from exp.errors import ExpError, nearest
from exp.metrics import names as metric_names
from exp.task import labels, terms
from exp.task.assemble import assemble, read_splits, warn_of_blanks
from exp.task.base import Head
from exp.task.multi_label_reading import MultiLabelReading
from exp.task.text_classification import MAX_LENGTH, TEXT_COLUMNS, TextClassification
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    from exp.data.base import RawData
    from exp.data.collate import Collator

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
