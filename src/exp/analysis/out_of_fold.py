"""The folds of a cross-validation joined: every train row predicted by the model that was not trained on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from exp.analysis.run_data import RunData
from exp.errors import ExpError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class OutOfFold:
    """All folds of one cut of one condition.

    Args:
        table: as predictions/eval.parquet, with `fold` and `run` before the other columns.
        joined: metric -> its value over all rows together.
        folds: metric -> its value in each fold, in their order.
    """

    task: str
    condition: str
    repetition: int
    table: pa.Table
    joined: Mapping[str, float]
    folds: Mapping[str, Sequence[float]]

    @property
    def name(self) -> str:
        return f"out_of_fold-{self.condition}" + (f"-{self.repetition}" if self.repetition else "")

    def told(self) -> str:
        """One line a metric: joined, then mean and standard deviation of the folds."""
        lines = [
            f"{self.task} {self.condition}: {len(self.table)} rows of {len(next(iter(self.folds.values())))} folds"
        ]
        for key, value in self.joined.items():
            each = self.folds[key]
            lines.append(f"  {key:<26}{value:.4f} together; folds {mean(each):.4f} ± {stdev(each):.4f}")
        return "\n".join(lines)


def join(runs: Iterable[RunData]) -> list[OutOfFold]:
    """One a condition and cut.

    Raises:
        ExpError: no run has folds, a fold is missing or unfinished, or two runs have the same one.
    """
    cuts: dict[tuple[str, int], dict[int, RunData]] = {}
    for run in runs:
        fold = run.data.get("fold")
        if not fold or run.status != "completed":
            continue
        held = cuts.setdefault((run.condition, fold["repetition"]), {})
        if fold["number"] in held:
            raise ExpError(
                f"fold {fold['number']} of condition {run.condition} is there twice: {held[fold['number']].source} and "
                f"{run.source}; name one of them"
            )
        held[fold["number"]] = run
    if not cuts:
        raise ExpError("no completed run here has folds; train them with --multirun sweep=kfold")
    return [_joined(condition, repetition, held) for (condition, repetition), held in sorted(cuts.items())]


def _joined(condition: str, repetition: int, held: Mapping[int, RunData]) -> OutOfFold:
    import pyarrow as pa

    first = next(iter(held.values()))
    count = first.data["fold"]["count"]
    missing = [str(number) for number in range(count) if number not in held]
    if missing:
        raise ExpError(
            f"condition {condition}: fold {', '.join(missing)} of {count} is not complete; give the same sweep again "
            f"to go on with it"
        )
    tables: list[pa.Table] = []
    folds: dict[str, list[float]] = {}
    for number in range(count):
        run = held[number]
        table = _predictions(run)
        for key, value in run.reading().score(table).items():
            folds.setdefault(key, []).append(value)
        own: Any = {"fold": pa.array([number] * len(table)), "run": pa.array([run.id] * len(table))}
        tables.append(pa.table({**own, **{name: table[name] for name in table.column_names}}))
    together = pa.concat_tables(tables)
    # What a task fits, such as a threshold, each fold has applied already.
    return OutOfFold(first.task, condition, repetition, together, first.reading().score(together), folds)


def _predictions(run: RunData) -> pa.Table:
    import pyarrow.parquet as pq

    file = (run.folder or Path()) / "predictions" / "eval.parquet"
    try:
        return pq.read_table(file)
    except OSError as error:
        raise ExpError(f"{file} cannot be read: {error.strerror or error}") from None
