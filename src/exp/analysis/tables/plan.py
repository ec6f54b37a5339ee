"""Which runs a table needs, which of them exist already, and what the others will cost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from exp.analysis.collect import collect
from exp.analysis.collection import Collection
from exp.analysis.run_data import RunData
from exp.analysis.tables import compose
from exp.analysis.tables.schema import PaperColumn, PaperRow, PaperTable, label
from exp.config.grammar import quoted
from exp.errors import ExpError, nearest
from exp.metrics.key import Key
from exp.metrics.names import COMBINED, LOSS, METRICS, produced
from exp.metrics.outside import is_outside
from exp.options.confdir import cache_dir
from exp.run.identity import ADDED, counts

# found: a finished run; failed: one that failed, and is not tried again by itself; waiting: for the weights of another.
STATES = ("found", "failed", "running", "missing", "waiting")
RANK = {"completed": 0, "running": 1, "failed": 2, "interrupted": 3, "died": 4, "pruned": 5}
RunKey = tuple[str, tuple[Any, ...]]  # condition and the four seeds


@dataclass
class PlannedRun:
    """One run that cells need; several cells may share it. `condition` is None while `after` is not finished."""

    row: str
    column: str
    point: int
    seeds: Mapping[str, int]
    words: tuple[str, ...]
    config: Mapping[str, Any]  # resolved leaves, seeds filled in
    condition: str | None
    after: PlannedRun | None
    origin: str  # the condition; of a run that starts from another's weights, that without them
    run: RunData | None = None
    state: str = "missing"
    why: str | None = None

    @property
    def key(self) -> RunKey:
        assert self.condition is not None
        return self.condition, compose.seeds_of(self.config)

    @property
    def tag(self) -> str:
        """A name for it in the storage and for its folder, the same on every machine and before its weights exist."""
        seeds = "-".join(f"{name.removesuffix('_seed')[0]}{value}" for name, value in self.seeds.items())
        return f"{_slug(self.row)}.{_slug(self.column)}.{self.point}.{seeds}.{self.mark}"

    @property
    def mark(self) -> str:
        """What the run is trained on and from: its condition, joined with that of the run before it."""
        if self.after is None:
            return self.origin
        return hashlib.sha256(f"{self.origin} {self.after.mark}".encode()).hexdigest()[: len(self.origin)]

    @property
    def cell(self) -> str:
        return label(self.row, self.column)


@dataclass
class TablePlan:
    """`cells`: (row, column) -> a list of jobs for each point of the search (one point where there is none)."""

    table: PaperTable
    cells: dict[tuple[str, str], list[list[PlannedRun]]] = field(default_factory=dict)
    jobs: list[PlannedRun] = field(default_factory=list)
    known: dict[RunKey, RunData] = field(default_factory=dict)
    problems: int = 0

    def of_cell(self, row: str, column: str) -> list[PlannedRun]:
        return [job for point in self.cells[row, column] for job in point]

    def count(self, state: str) -> int:
        return sum(job.state == state for job in self.jobs)


@dataclass
class ComposedCells:
    """What is composed so far: config and hash by (row, column, point), jobs by what identifies a run."""

    configs: dict[tuple[str, str, int], tuple[compose.Flat, str]] = field(default_factory=dict)
    jobs: dict[Any, PlannedRun] = field(default_factory=dict)


def make(table: PaperTable, sources: Sequence[Path], only: Sequence[str], retry_failed: bool) -> TablePlan:
    """`only`: patterns of row/column. Raises ExpError for overrides that do not fit, naming the cell."""
    wanted = _picked(table, only)
    plan = TablePlan(table)
    found = _collect(sources)
    plan.problems = len(found.problems)
    for run in sorted(found.runs, key=lambda run: RANK.get(run.status, 9), reverse=True):
        plan.known[run.condition, compose.seeds_of(run.config)] = run  # a better status comes later and stays
    points = table.search.points if table.search else ((),)
    composer = _composer(table, wanted[0], points[0])
    made = ComposedCells()
    for row, column in wanted:
        plan.cells[row.name, column.name] = [
            [_job(plan, composer, made, row, column, at, point, seeds) for seeds in table.seeds]
            for at, point in enumerate(points)
        ]
    composer.save()
    for job in plan.jobs:
        find_run(plan, job, retry_failed)
    return plan


def find_run(plan: TablePlan, job: PlannedRun, retry_failed: bool) -> None:
    """Finds the run of a job and its state. Raises ExpError where a record was edited."""
    if job.condition is None:
        first = job.after
        assert first is not None
        if first.state != "found" or first.run is None or first.run.folder is None:
            job.state = "waiting"
            job.why = f"{first.cell} failed" if first.state == "failed" else f"starts from {first.cell}"
            return
        start_from(job, first.run.folder / "model")
    run = plan.known.get(job.key)
    if run is None:
        job.state, job.run = "missing", None
        return
    _check_record(job, run)
    job.run, job.why = run, run.reason
    job.state = {"completed": "found", "running": "running", "failed": "failed"}.get(run.status, "missing")
    if job.state == "failed" and retry_failed:
        job.state = "missing"


def start_from(job: PlannedRun, weights: Path) -> None:
    """The job's condition, now that the weights it starts from exist."""
    if "model.path" not in job.config:
        raise ExpError(f"cell {job.cell} starts from other weights, and its model has no path to load them from")
    job.words = starting_from(job.words, weights)
    job.config = {**job.config, "model.path": str(weights)}
    job.condition = compose.hash_of(job.config)


def starting_from(words: Sequence[str], weights: Path) -> tuple[str, ...]:
    return compose.merged_overrides(words, [f"model.path={quoted(weights)}"])


def override_parts(
    table: PaperTable, row: PaperRow, column: PaperColumn, point: Sequence[str]
) -> list[tuple[str, ...]]:
    """The parts of a cell's overrides, in the order in which later ones win."""
    return [
        row.overrides,
        column.overrides,
        tuple(point),
        compose.merged_overrides(
            table.cell(row.name, column.name).overrides,
            table.added.get("", ()),
            table.added.get(row.name, ()),
            table.added.get(column.name, ()),
        ),
    ]


def seconds_left(plan: TablePlan) -> tuple[float, int]:
    """Estimated training seconds of all missing runs, and how many of them nothing is known about.

    From runs of the same condition; else of the same column; else of the same row.
    """
    known: dict[Any, list[float]] = {}
    for job in plan.jobs:
        spent = job.run.cost.get("train_seconds") if job.run is not None and job.state == "found" else None
        if spent:
            for key in (job.condition, ("column", job.column), ("row", job.row)):
                known.setdefault(key, []).append(spent)
    total, unknown = 0.0, 0
    for job in plan.jobs:
        if job.state in ("missing", "waiting"):
            seen = next(
                (known[k] for k in (job.condition, ("column", job.column), ("row", job.row)) if k in known), None
            )
            total += sum(seen) / len(seen) if seen else 0.0
            unknown += seen is None
    return total, unknown


def _composer(table: PaperTable, first: tuple[PaperRow, PaperColumn], point: Sequence[str]) -> compose.CellComposer:
    try:
        return compose.CellComposer(
            table.overrides, override_parts(table, *first, point), cache_dir(), table.config_dir
        )
    except ExpError as error:
        raise ExpError(f"table {table.name}: cell {label(first[0].name, first[1].name)}: {error}") from None


def _job(
    plan: TablePlan,
    composer: compose.CellComposer,
    made: ComposedCells,
    row: PaperRow,
    column: PaperColumn,
    at: int,
    point: Sequence[str],
    seeds: Mapping[str, int],
) -> PlannedRun:
    """The job of one cell, point and seed. Cells that read the same run share a job."""
    table = plan.table
    parts = override_parts(table, row, column, point)
    where = (row.name, column.name, at)
    if where not in made.configs:
        try:
            flat = composer.cell(parts)
            _check_computed(flat, column)
            made.configs[where] = (flat, compose.hash_of(compose.resolved(flat)))
        except ExpError as error:
            raise ExpError(f"table {table.name}: cell {label(row.name, column.name)}: {error}") from None
    flat, condition = made.configs[where]
    config = compose.resolved(compose.with_seeds(flat, seeds))
    after = None
    if column.start_from is not None:
        first = table.column(column.start_from)
        after = _job(plan, composer, made, row, first, at, point, seeds)
    key = (condition, compose.seeds_of(config), id(after) if after else None)
    if key not in made.jobs:
        words = compose.merged_overrides(table.overrides, *parts, [f"{name}={value}" for name, value in seeds.items()])
        made.jobs[key] = PlannedRun(
            row.name, column.name, at, seeds, words, config, None if after else condition, after, condition
        )
        plan.jobs.append(made.jobs[key])
    return made.jobs[key]


def _check_computed(config: compose.Flat, column: PaperColumn) -> None:
    """Raises ExpError for a metric that the cell's task does not compute; an outside metric may report any."""
    metrics = config.get("task.metrics") or list(METRICS)
    known, name = (*produced(metrics), COMBINED, LOSS), Key.of(column.metric).name
    if name not in known and not any(is_outside(name) for name in metrics):
        raise ExpError(f"metric {name} is not computed by its task{nearest(name, known)}")


def _picked(table: PaperTable, only: Sequence[str]) -> list[tuple[PaperRow, PaperColumn]]:
    wanted = table.wanted()
    names = [label(row.name, column.name) for row, column in wanted]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ExpError(f"cells={pattern}: no cell of table {table.name} fits{nearest(pattern, names)}")
    if only:
        wanted = [cell for cell, name in zip(wanted, names, strict=True) if any(fnmatchcase(name, p) for p in only)]
    return wanted


def _collect(sources: Iterable[Path]) -> Collection:
    present = [str(source) for source in sources if source.exists()]
    try:
        return collect(present) if present else Collection()
    except ExpError:  # nothing there could be read
        return Collection()


def _check_record(job: PlannedRun, run: RunData) -> None:
    """Raises ExpError for a record whose config does not fit its condition hash."""
    told = [
        key for key in run.config.keys() | job.config.keys() if _counts(key) and _differs(key, run.config, job.config)
    ]
    if told:
        key = sorted(told)[0]
        raise ExpError(
            f"cell {job.cell}: the record of {run.source} was edited: it says condition {run.condition}, and that has "
            f"{key}={job.config.get(key)}, but the record has {key}={run.config.get(key)}. "
            f"Remove that run (exp runs remove), or put the record right"
        )


def _counts(key: str) -> bool:
    # Two paths with the same contents are one condition.
    return counts(key) and not key.rpartition(".")[2].endswith(("path", "_file"))


def _differs(key: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    default = ADDED.get(key)
    return theirs.get(key, default) != ours.get(key, default)


def _slug(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in text)
