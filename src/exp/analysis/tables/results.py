"""The result of each cell from its runs: value, spread, failures and verdict."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from exp.analysis.run_data import RunData
from exp.analysis.tables.plan import PlannedRun, TablePlan
from exp.analysis.tables.schema import Cell, PaperColumn, PaperTable, Published
from exp.analysis.tables.verdict import NOT_JUDGED, CellVerdict, OverExamples, aggregate, judge
from exp.errors import ExpError, nearest
from exp.metrics.key import Key


@dataclass(frozen=True)
class CellResult:
    """`values` by seed, in the table's unit, of the point that is reported; `std` has ddof 1 (NaN for one value).

    `failed`, `missing` and `running` count runs of that point; `degenerate` counts values no better than guessing.
    `points` of `of_points` search points are complete, `point` says which one is reported.
    """

    row: str
    column: str
    values: tuple[float, ...]
    runs: tuple[RunData, ...]
    shown: float
    std: float
    failed: int
    missing: int
    running: int
    degenerate: int
    published: Published | None
    verdict: CellVerdict
    point: str | None
    points: int
    of_points: int

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def difference(self) -> float:
        return self.shown - self.published.value if self.published else math.nan


def results(plan: TablePlan) -> list[CellResult]:
    return [_cell(plan, row, column) for row, column in plan.cells]


def value_of(run: RunData, column: PaperColumn, table: PaperTable) -> float | None:
    """In the table's unit; None where the run has no such number, NaN where it was not finite."""
    if column.epoch is not None:
        near = [
            event.metrics[column.metric]
            for event in run.events()
            if column.metric in event.metrics and abs(event.epoch - column.epoch) < 0.01
        ]
        return near[-1] * table.scale if near else None
    point = (run.best if table.use == "best" else run.last).get(column.metric)
    return None if point is None else point.value * table.scale


def is_degenerate(run: RunData) -> bool:
    """No better than guessing at the end of training (Mosbach et al. 2021, footnote 3), by a metric whose chance level
    the task knows. What is not a number is no better either."""
    for name, (level, _) in run.facts().floors.items():
        point = run.last.get(f"eval/{name}")
        if point is not None and not point.value > level + 1e-9:
            return True
    return False


def _cell(plan: TablePlan, row: str, column_name: str) -> CellResult:
    table = plan.table
    column, held = table.column(column_name), table.cell(row, column_name)
    points = plan.cells[row, column_name]
    chosen, complete = _best_point(table, column, points)
    jobs = points[chosen]
    counted = []
    if table.split != "test_server":
        counted = [(job.run, _must_have(job.run, column, table)) for job in jobs if job.state == "found" and job.run]
    good = [(run, value) for run, value in counted if math.isfinite(value)]
    values = [value for _, value in good]
    result = CellResult(
        row=row,
        column=column_name,
        values=tuple(values),
        runs=tuple(run for run, _ in good),
        shown=aggregate(values, table.aggregate),
        std=statistics.stdev(values) if len(values) > 1 else math.nan,
        failed=sum(job.state == "failed" for job in jobs) + len(counted) - len(good),
        missing=sum(job.state in ("missing", "waiting") for job in jobs),
        running=sum(job.state == "running" for job in jobs),
        degenerate=sum(is_degenerate(run) for run, _ in good),
        published=held.published,
        verdict=_verdict(table, column, held, values, [run for run, _ in good]),
        point=" ".join(table.search.points[chosen]) if table.search and values else None,
        points=complete,
        of_points=len(points),
    )
    if result.of_points > 1 and result.points < result.of_points and values:
        why = f"{complete} of {len(points)} search points are complete; {result.verdict.why}"
        result = replace(result, verdict=replace(result.verdict, word="not enough runs", why=why))
    return result


def _verdict(
    table: PaperTable, column: PaperColumn, held: Cell, values: Sequence[float], runs: Sequence[RunData]
) -> CellVerdict:
    rules = table.judging if held.tolerance is None else replace(table.judging, tolerance=held.tolerance)
    examples = None
    if rules.over != "seeds" and values and held.published is not None:
        from exp.analysis.evidence.spread import over_examples

        try:
            error, n = over_examples(runs, column.metric)
        except ExpError as reason:
            return CellVerdict(NOT_JUDGED, f"not over examples: {reason}")
        examples = OverExamples(error * table.scale, n)
    found = judge(values, held.published, table.aggregate, rules, table.split, examples)
    return found if examples is None else replace(found, why=f"{_over(rules.over, examples.n)}: {found.why}")


def _over(what: str, n: int) -> str:
    return f"over {n} examples" if what == "examples" else f"over seeds and {n} examples"


def selected_by(table: PaperTable, column: PaperColumn) -> str:
    """The metric that chooses among search points: always one of the dev split."""
    if table.search is not None and table.search.select is not None:
        return table.search.select
    key = Key.of(column.metric)
    return str(Key.make("eval", key.suffix, key.name))


def _must_have(run: RunData, column: PaperColumn, table: PaperTable) -> float:
    value = value_of(run, column, table)
    if value is None:
        after = "" if column.epoch is None else f" after epoch {column.epoch:g}"
        raise ExpError(
            f"table {table.name}: column {column.name} reads {column.metric}{after}, which {run.source} has not"
            f"{nearest(column.metric, run.last)}"
        )
    return value


def _best_point(table: PaperTable, column: PaperColumn, points: Sequence[Sequence[PlannedRun]]) -> tuple[int, int]:
    """Index of the point with the best selection value, and how many points have all their runs."""
    if table.search is None:
        return 0, int(all(job.state in ("found", "failed") for job in points[0]))
    key = selected_by(table, column)
    by = replace(column, metric=key)
    sign = 1 if Key.of(key).greater_is_better else -1
    best, at = -math.inf, 0
    for index, jobs in enumerate(points):
        found = [value_of(job.run, by, table) for job in jobs if job.state == "found" and job.run is not None]
        values = [value for value in found if value is not None and math.isfinite(value)]
        if values and sign * aggregate(values, table.aggregate) > best:
            best, at = sign * aggregate(values, table.aggregate), index
    return at, sum(all(job.state in ("found", "failed") for job in jobs) for jobs in points)
