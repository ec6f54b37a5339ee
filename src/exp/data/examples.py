"""Rows as a task reads them: what every split holds, before it becomes numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exp.data.stream import ExampleStream


@dataclass(frozen=True)
class Examples:
    """One split as its task reads it, in the source's order."""

    ids: list[int] | list[str]
    inputs: Mapping[str, list[Any]]  # by column: texts, or lists of words; they go into the predictions as they are
    targets: list[Any] | None  # one a row, in the task's own terms; None: unlabelled

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int]) -> Examples:
        ids: Any = [self.ids[row] for row in rows]
        inputs = {name: [cells[row] for row in rows] for name, cells in self.inputs.items()}
        return Examples(ids, inputs, None if self.targets is None else [self.targets[row] for row in rows])


@dataclass(frozen=True)
class TaskData:
    """All splits of a data set as the task reads them."""

    name: str
    train: Examples
    evals: Mapping[str, Examples]  # suffix -> split: {"": dev}, and for MNLI {"": matched, "mm": mismatched}
    tests: Mapping[str, Examples]  # the same for test splits; may be empty, may lack targets
    labels: tuple[str, ...] | None  # names by index; None: the task has no classes
    metrics: tuple[str, ...]  # the first is the primary one
    max_length: int  # tokens, special tokens included
    fingerprint: str  # sha256 over the contents of all splits, the same on every machine
    facts: Mapping[str, Any] = field(default_factory=dict)  # what else readers of the run need, for run.json
    stream: ExampleStream | None = None  # where more train rows come from; `train` are the first ones

    def splits(self) -> dict[str, Examples]:
        """By name: train, eval, eval_mm, test."""
        named = {"train": self.train}
        named |= {split_name("eval", suffix): split for suffix, split in self.evals.items()}
        return named | {split_name("test", suffix): split for suffix, split in self.tests.items()}


def split_name(kind: str, suffix: str) -> str:
    """eval, or eval_mm for the evaluation set with the suffix `mm`."""
    return f"{kind}_{suffix}" if suffix else kind
