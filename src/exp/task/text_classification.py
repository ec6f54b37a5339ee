"""One label a text or a pair of texts: a class, or a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Le, Len

from exp.data.collate import Collator
from exp.data.examples import Examples, TaskData
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.metrics import names as metric_names
from exp.task import labels, terms, tokens
from exp.task.assemble import assemble, read_splits, warn_of_blanks, with_fingerprint
from exp.task.base import Answers, EvaluatedBatch, Head
from exp.task.one_label import OneLabelReading
from exp.task.tokens import MOST_TOKENS

if TYPE_CHECKING:
    import torch

    from exp.data.base import RawData
    from exp.data.features import Encoded

# Where neither the task's key nor the data option names them.
TEXT_COLUMNS, LABEL_COLUMN, MAX_LENGTH = ("text",), "label", 128
METRICS = {"single_label_classification": ("accuracy",), "regression": ("pearson", "spearmanr")}
KINDS = {"single_label_classification": "single_label", "regression": "regression"}  # in the words of exp.metrics


@dataclass(frozen=True)
class TextClassification:
    """See conf/task/text_classification.yaml for the keys."""

    text_columns: Annotated[list[str], Len(1, 2)] | None
    label_column: str | None
    label_names: list[str | int] | None
    no_label: list[str | int] | None
    problem_type: Literal["single_label_classification", "regression"] | None
    metrics: list[str] | None
    max_length: Annotated[int, Ge(8), Le(MOST_TOKENS)] | None
    both_orders: bool

    def __post_init__(self) -> None:
        columns = self.text_columns or []
        if len(set(columns)) < len(columns) or self.label_column in columns:
            raise ExpError(
                f"task.text_columns=[{', '.join(columns)}] task.label_column={self.label_column}: one column is named "
                f"twice"
            )
        labels.check_names(self.label_names)
        if self.label_names is not None and self.problem_type == "regression":
            raise ExpError("task.label_names: a regression has no label names; set it to null")
        if self.both_orders and len(columns) == 1:
            raise ExpError("task.both_orders=true: these are single texts, only pairs have two orders")

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        """Columns that the train rows must have; `roles` are the data option's."""
        return [*self._texts(roles), self._label(roles)]

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        """Their names. Raises ExpError for one that does not fit the kind of problem."""
        problem = self.problem_type or roles.get("problem_type") or "single_label_classification"
        named = tuple(self.metrics or roles.get("metrics") or METRICS[problem])
        metric_names.check(named, KINDS[problem], self._classes(roles))
        return named

    def read(self, raw: RawData) -> TaskData:
        texts, label = self._texts(raw.roles), self._label(raw.roles)
        problem = self.problem_type or raw.roles.get("problem_type") or "single_label_classification"
        train = labels.without_unlabelled(raw.train, label, self.no_label)
        asked = self.label_names or raw.roles.get("label_names")
        names: list[str] | None = None
        if problem != "regression":
            names = labels.class_names(train, label) if asked is None else [str(name) for name in asked]
        facts = {
            "inputs": list(texts),
            "label_column": label,
            "label_names": names,
            "labels_by_index": asked is not None,
            "problem_type": problem,
        }

        def kept(rows: Rows, labelled: bool) -> tuple[Rows, bool]:
            labelled = labelled or labels.is_labelled(rows, label, names, self.no_label)
            return labels.without_unlabelled(rows, label, self.no_label) if labelled else rows, labelled

        splits = read_splits(replace(raw, train=train), partial(self.examples, facts=facts), kept)
        if self.both_orders and len(texts) == 1:
            raise ExpError("task.both_orders=true: these are single texts, only pairs have two orders")
        data = assemble(
            raw,
            splits,
            strata=splits.train.targets if names is not None else None,
            labels=names,
            metrics=self._fitting(raw.roles, names),
            max_length=self.max_length or raw.roles.get("max_length") or MAX_LENGTH,
            facts=facts,
        )
        warn_of_blanks(data)
        return _both_orders(data) if self.both_orders else data

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        label, names = facts["label_column"], facts["label_names"]
        inputs = {column: rows.texts(column) for column in facts["inputs"]}
        targets: list[Any] | None = None
        if labelled or labels.is_labelled(rows, label, names, self.no_label):
            if names is None:
                targets = labels.scores(rows, label)
            else:
                key = None if self.label_names is None else "task.label_names"
                by_index = facts.get("labels_by_index", False)  # not in records of the first version
                targets = labels.class_indices(rows, label, names, by_index, key)
        return Examples(list(range(len(rows))), inputs, targets)

    def head(self, data: TaskData) -> Head:
        return Head(
            auto_class="AutoModelForSequenceClassification",
            labels=data.labels,
            problem_type="regression" if data.labels is None else "single_label_classification",
            peft_task="SEQ_CLS",
            pipeline="text-classification",
            max_length=data.max_length,
            terms=terms.SCORES if data.labels is None else terms.ROWS,
        )

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        """Raises ExpError where special tokens alone fill `task.max_length`."""
        from exp.data.features import EncodedRows, encode_splits

        allowed = tokens.longest(processor, data.max_length, pair=len(data.train.inputs) == 2)
        tokens.without_length_options(processor)
        key = {"task": "text_classification", "max_length": allowed, **tokens.tokenizer_key(processor)}

        def make(split: Examples) -> EncodedRows:
            return EncodedRows(tokens.tokenized(processor, list(split.inputs.values()), allowed), kept={})

        return encode_splits(data, key, cache_dir, make, lambda split: split.targets)

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator:
        return Collator(
            tokens.fills(processor),
            left=processor.padding_side == "left",
            pad_to_multiple_of=pad_to_multiple_of,
            target_dtype="float32" if labels is None else "int64",
        )

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Examples."""
        return len(batch["input_ids"])

    def answer(self, batch: EvaluatedBatch) -> Answers:
        return {"logits": list(batch.output.logits.float().cpu().numpy())}

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        return Rows(Path("typed"), {column: [text] for column, text in zip(columns, texts, strict=True)}, [1])

    def reading(self, facts: Mapping[str, Any]) -> OneLabelReading:
        return OneLabelReading(facts["label_names"], tuple(facts["metrics"]))

    def _classes(self, roles: Mapping[str, Any]) -> int | None:
        """Their number, where it is known before any row is read."""
        names = self.label_names or roles.get("label_names")
        return len(names) if names else None

    def _fitting(self, roles: Mapping[str, Any], names: Sequence[str] | None) -> tuple[str, ...]:
        """Names of the metrics, held against the classes that were found."""
        named = self.check_metrics(roles)
        metric_names.check(named, "regression" if names is None else "single_label", len(names or ()) or None)
        return named

    def _texts(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(self.text_columns or roles.get("text_columns") or TEXT_COLUMNS)

    def _label(self, roles: Mapping[str, Any]) -> str:
        return labels.apart(self.label_column or roles.get("label_column") or LABEL_COLUMN, self._texts(roles))


def _both_orders(data: TaskData) -> TaskData:
    """Train holds every pair twice: all rows as they are, then all with their texts exchanged. Same ids."""
    from dataclasses import replace

    train = data.train
    (one, first), (two, second) = train.inputs.items()
    ids: Any = [*train.ids, *train.ids]
    targets = None if train.targets is None else [*train.targets, *train.targets]
    return with_fingerprint(replace(data, train=Examples(ids, {one: first + second, two: second + first}, targets)))
