"""The contract of a task: what rows mean to a model, and what its answers mean to a reader.

A task is one file of this room and one YAML of conf/task/. It has two halves. The option, a frozen dataclass with the
YAML's keys, turns rows into examples, features and batches. Its `reading` turns answers into predictions/*.parquet and
that table into numbers; it needs neither torch nor transformers. Nothing outside of this room asks which task it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import torch

    from exp.data.base import RawData
    from exp.data.collate import Collator
    from exp.data.examples import Examples, TaskData
    from exp.data.features import Encoded, FeatureSet
    from exp.data.rows import Rows
    from exp.metrics.sums import Additive
    from exp.task.pictures import Picture
    from exp.task.terms import Terms


@dataclass(frozen=True)
class Generation:
    """How a model generates, in evaluation and for everybody who loads it: it stands in generation_config.json."""

    settings: Mapping[str, Any]  # keys of transformers' GenerationConfig; None: as the checkpoint has it


def _as_it_is(model: Any, processor: Any) -> None:
    """For tasks that ask no more of a model than its head."""


@dataclass(frozen=True)
class Head:
    """What the task asks of a model."""

    auto_class: str  # of transformers: AutoModelForSequenceClassification
    labels: tuple[str, ...] | None  # names by index of the output; None: no classes
    problem_type: str | None  # for the config: regression | single_label_classification | multi_label_classification
    peft_task: str | None  # peft's TaskType: SEQ_CLS; None: peft has none, and the model's own arguments hold
    pipeline: str  # the Hub's name of the task, for the card: text-classification
    max_length: int  # tokens of the longest input
    outputs: int = 1  # where there are no labels: numbers that the output layer gives
    drawn: bool = True  # a linear output layer of the task's own; False: the checkpoint brings all weights
    lengths: Mapping[str, int] = field(default_factory=dict)  # key of the task -> tokens; empty: {"max_length": ...}
    generation: Generation | None = None  # None: the model generates nothing
    processor: Literal["tokenizer", "image_processor", "feature_extractor"] = "tokenizer"  # what makes numbers of rows
    # Called with the built or loaded model and its processor, before an adapter wraps it. Raises ExpError where the
    # model cannot do what the task asks.
    prepare: Callable[[Any, Any], None] = _as_it_is
    # Logits and labels a unit, for losses of conf/loss/. None: only the model's own loss fits the task.
    terms: Terms | None = None


@dataclass(frozen=True)
class EvaluatedBatch:
    """One batch of an evaluation, after its forward pass."""

    model: Any
    inputs: Mapping[str, torch.Tensor]  # as the collator made them, on the model's device
    output: Any  # of the model: `loss`, `logits`
    features: FeatureSet
    rows: Sequence[int]  # of `features`, in the order of the batch
    processor: Any = None  # the run's tokenizer
    final: bool = True  # False: in the middle of a training, where an answer may be too dear


# What evaluation keeps: name -> one small value for each row of a FeatureSet, in its order.
Answers = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Floors:
    """What guessing gives."""

    loss: float | None  # None: unknown
    metrics: Mapping[str, tuple[float, float]]  # bare name -> level, and its standard error on the evaluation set


class Task(Protocol):
    """The training half; the classes of conf/task/*.yaml."""

    def read(self, raw: RawData) -> TaskData:
        """Raises ExpError for rows that do not fit, with file, row and column."""
        ...

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        """Columns that the train rows must have, known before any row is read; `roles` are the data option's."""
        ...

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the metrics. Raises ExpError for one that does not fit."""
        ...

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        """Rows of another file, read as the run's own.

        Args:
            rows: with the run's input columns.
            facts: the block `data` of run.json.
            labelled: False leaves targets out where their column is missing or empty; True raises ExpError there.
        """
        ...

    def head(self, data: TaskData) -> Head: ...

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        """All splits as features, from the cache where it has them."""
        ...

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> Collator: ...

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """What the loss of `batch` is a mean over: examples, or labelled tokens."""
        ...

    def answer(self, batch: EvaluatedBatch) -> Answers | None:
        """What is kept of a batch: never the logits of all tokens. None: this evaluation is of the loss alone."""
        ...

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        """One row from texts that a person typed, one for each input column."""
        ...

    # A task whose inputs are files has `opened(path, columns) -> Rows | None` too: rows of a folder of them, or of one.
    # A task whose answers are generated, a pass for each token, has `generates = True`.
    # A task that can read its train rows a portion at a time, because no label comes from them, has `streams = True`.

    def reading(self, facts: Mapping[str, Any]) -> Reading:
        """`facts`: the block `data` of run.json."""
        ...


class Reading(Protocol):
    """The reading half. Every number that a run reports is a function of the table alone."""

    @property
    def names(self) -> tuple[str, ...]:
        """What every evaluation is sure to return; the first is the primary metric."""
        ...

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        """One row an example, in the rows' own terms: predictions/<split>.parquet."""
        ...

    def score(self, table: pa.Table) -> dict[str, float]: ...

    def item_scores(self, table: pa.Table) -> np.ndarray:
        """One score an example, higher is better, for tests over examples."""
        ...

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        """One of the numbers that `score` returns, as a function of sums over examples; None: it is no such function.

        `table` has labels.
        """
        ...

    def confidence(self, table: pa.Table) -> np.ndarray | None:
        """How sure the model was of each answer, higher is surer; None where a table does not say."""
        ...

    def probabilities(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray] | None:
        """[n, classes] probabilities of answers of which one is right, and [n] which; None: the task has none.

        `table` has labels.
        """
        ...

    def tuned(self, table: pa.Table) -> tuple[Reading, Mapping[str, float]]:
        """What is fitted on the first evaluation set, such as a threshold: the reading with it, and its values.

        The same reading and nothing where the task fits nothing.
        """
        ...

    def applied(self, table: pa.Table) -> pa.Table:
        """`table` as this reading answers, where it was made by one before `tuned`."""
        ...

    def chance(self, examples: Examples) -> Floors: ...

    def by_class(self, table: pa.Table) -> dict[str, float]:
        """F1 of each class, label or type of entity; empty where answers are none of these. `table` has labels."""
        ...

    def pictures(self, table: pa.Table) -> list[Picture]: ...

    def summary(self, table: pa.Table) -> str:
        """The predictions in one line."""
        ...

    def said(self, row: Mapping[str, Any]) -> str:
        """One row's prediction, for a person who typed it."""
        ...

    def flat(self, table: pa.Table) -> tuple[list[str], list[list[Any]]]:
        """Header and rows for CSV, which has no lists."""
        ...


class Untuned:
    """For readings that fit nothing, and say nothing of classes, of probabilities and of sums over examples."""

    def by_class(self, table: pa.Table) -> dict[str, float]:
        return {}

    def confidence(self, table: pa.Table) -> np.ndarray | None:
        return None

    def tuned(self, table: pa.Table) -> tuple[Any, Mapping[str, float]]:
        return self, {}

    def applied(self, table: pa.Table) -> pa.Table:
        return table

    def additive(self, table: pa.Table, metric: str) -> Additive | None:
        return None

    def probabilities(self, table: pa.Table) -> tuple[np.ndarray, np.ndarray] | None:
        return None


def named_inputs(inputs: Mapping[str, list[Any]], reserved: Sequence[str]) -> dict[str, list[Any]]:
    """Input columns for a table of predictions, under names that its own columns have not taken."""
    return {f"input_{name}" if name in reserved else name: cells for name, cells in inputs.items()}
