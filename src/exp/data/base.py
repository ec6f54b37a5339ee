"""The contract of a data option: where rows come from. What they mean is the task's business (exp.task)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from annotated_types import Ge

from exp.data.rows import Rows
from exp.errors import ExpError

SET_NAME = re.compile(r"\w[\w-]*")  # "mm" of MNLI's mismatched set

if TYPE_CHECKING:
    from exp.data.stream import Stream


@dataclass(frozen=True)
class HoldOut:
    """A share of the train rows to evaluate on, where the source has no evaluation split."""

    share: float
    seed: int


@dataclass(frozen=True)
class Fold:
    """One of `count` parts of the train rows, to evaluate on; the others are trained on."""

    number: int  # from 0
    count: int
    repetition: int  # another one cuts otherwise


@dataclass(frozen=True)
class RawData:
    """Named splits of rows, in the source's order; nothing is shuffled or dropped here.

    `roles` holds what the source itself says of its columns, as values of the task's keys: text_columns, label_column,
    label_names, metrics, max_length. They hold where the task's own key is null.
    """

    name: str
    train: Rows
    evals: Mapping[str, Rows]  # suffix -> split: {"": dev}, and for MNLI {"": matched, "mm": mismatched}
    tests: Mapping[str, Rows]  # the same for test splits; may be empty, may lack labels
    roles: Mapping[str, Any] = field(default_factory=dict)
    id_column: str | None = None  # None: the row number from 0
    hold_out: HoldOut | None = None
    stream: Stream | None = None  # where more train rows come from; `train` are the first ones
    whole: bool = True  # of a stream: False where `train` are not all of its rows
    fold: Fold | None = None  # takes the place of hold_out and of evals
    max_train_samples: int | None = None
    max_eval_samples: int | None = None  # of evaluation and test splits alike

    def __post_init__(self) -> None:
        where = f"data {self.name!r}"
        for what in ("evals", "tests"):
            if not isinstance(getattr(self, what), Mapping):
                raise ExpError(f"{where}: {what} is no mapping of suffixes to exp.data.rows.Rows")
        for suffix in (*self.evals, *self.tests):
            if suffix:
                check_set_name(suffix, where)
        for rows in (self.train, *self.evals.values(), *self.tests.values()):
            if not isinstance(rows, Rows):
                raise ExpError(f"{where}: a split is {type(rows).__name__} in place of exp.data.rows.Rows")
            for name, cells in rows.columns.items():
                if len(cells) != len(rows):
                    raise ExpError(f"{where}: the column {name} has {len(cells)} cells, for {len(rows)} lines")


def check_set_name(name: str, where: str) -> None:
    """Raises ExpError for what cannot name a file of predictions and a metric (test_<name>/accuracy)."""
    if not SET_NAME.fullmatch(name):
        raise ExpError(f"{where}: {name!r} cannot name a set of rows: letters, digits, - and _ (it names files)")


@dataclass(frozen=True)
class Sampled:
    """Keys that every data option has."""

    max_train_samples: Annotated[int, Ge(1)] | None
    max_eval_samples: Annotated[int, Ge(1)] | None


class DataSource(Protocol):
    """The classes of conf/data/*.yaml."""

    def read(self) -> RawData:
        """Raises ExpError for files that cannot be read, naming file and line, and for a Hub out of reach."""
        ...

    def columns(self) -> list[str] | None:
        """Names of the train rows' columns, where that is cheap to know; else None."""
        ...

    # An option whose `RawData.roles` are known before any row is read has them as `roles` too; the config check then
    # sees columns and metrics that do not fit the task.
