"""More tables of the same runs: the gain of a larger budget, the effect of each seed, stability."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from exp.analysis.stats import summarize
from exp.analysis.table import Column, Table
from exp.analysis.tables.plan import TablePlan
from exp.analysis.tables.render import NOTHING, digits
from exp.analysis.tables.results import CellResult, is_degenerate, selected_by, value_of
from exp.analysis.tables.schema import PaperTable
from exp.analysis.tables.verdict import aggregate
from exp.errors import ExpError, nearest
from exp.metrics.key import Key
from exp.options.outside import parts


def expected_best(values: Sequence[float], budget: int) -> float:
    """Expected maximum of `budget` draws with replacement from `values` (Dodge et al. 2019, equation 7).

    Biased downwards for a budget near the number of values (Tang et al. 2020).
    """
    n = len(values)
    return math.fsum(
        value * ((rank / n) ** budget - ((rank - 1) / n) ** budget) for rank, value in enumerate(sorted(values), 1)
    )


def expected_best_unbiased(values: Sequence[float], budget: int) -> float:
    """The same without replacement, a U-statistic without bias (Tang et al. 2020); needs budget <= len(values)."""
    n = len(values)
    assert 1 <= budget <= n
    whole = math.comb(n, budget)
    return math.fsum(value * math.comb(rank - 1, budget - 1) / whole for rank, value in enumerate(sorted(values), 1))


def budget(plan: TablePlan, found: Sequence[CellResult]) -> list[Table]:
    """One table a cell that was searched: the best validation value after 1, 2, 3, ... points."""
    table = plan.table
    if table.search is None:
        raise ExpError(f"view=budget needs a table with a search, and {table.name} has none")
    made = []
    for (row, name), points in plan.cells.items():
        column = table.column(name)
        key = selected_by(table, column)
        sign = 1 if Key.of(key).greater_is_better else -1
        scored = []
        for jobs in points:
            held = [
                (value_of(job.run, replace(column, metric=key), table), job.run.finished or "")
                for job in jobs
                if job.state == "found" and job.run is not None
            ]
            values = [value for value, _ in held if value is not None and math.isfinite(value)]
            if values:
                scored.append((max(at for _, at in held), aggregate(values, table.aggregate)))
        if scored:
            made.append(_budget_table(table, f"{row}/{name}", key, sign, [value for _, value in sorted(scored)]))
    return made


def _budget_table(table: PaperTable, cell: str, key: str, sign: int, values: Sequence[float]) -> Table:
    """`values` in the order in which the points finished."""
    assert table.search is not None
    places = digits(table)
    flipped = [sign * value for value in values]
    tried = range(1, len(values) + 1)
    first = Column("n", "points tried", "number")
    rows: tuple[tuple[str, ...], ...]
    if table.search.kind == "random":
        columns = (first, Column("d", "expected best", "value"), Column("u", "unbiased", "value"))
        expected = [(sign * expected_best(flipped, k), sign * expected_best_unbiased(flipped, k)) for k in tried]
        rows = tuple((str(k), f"{d:.{places}f}", f"{u:.{places}f}") for k, (d, u) in zip(tried, expected, strict=True))
        note = f"expected best {key} after k random points, from {len(values)} of them"
        return Table(f"{cell}: validation against budget", columns, rows, frozenset(), (note,))
    rows = tuple((str(k), f"{sign * max(flipped[:k]):.{places}f}") for k in tried)
    note = f"best {key} so far in the order in which points finished; a grid is no random sample: no expectation"
    so_far = (first, Column("b", "best so far", "value"))
    return Table(f"{cell}: validation against budget", so_far, rows, frozenset(), (note,))


def seeds(plan: TablePlan, found: Sequence[CellResult]) -> list[Table]:
    """Init seeds down, data-order seeds across, for each cell (Dodge et al. 2020, section 4)."""
    table = plan.table
    inits = list(dict.fromkeys(seed.get("init_seed") for seed in table.seeds))
    orders = list(dict.fromkeys(seed.get("data_seed") for seed in table.seeds))
    if None in inits or None in orders or len(inits) * len(orders) != len(table.seeds):
        raise ExpError(
            f"view=seeds needs seeds of the form {{init_seed: [..], data_seed: [..]}}; {table.name} has other seeds"
        )
    made = []
    for result in found:
        at = {
            (run.config.get("init_seed"), run.config.get("data_seed")): value
            for run, value in zip(result.runs, result.values, strict=True)
        }
        places = digits(table)
        rows = [
            (
                f"init {i}",
                *(_number(at.get((i, d)), places) for d in orders),
                _mean([at.get((i, d)) for d in orders], places),
            )
            for i in inits
        ]
        rows.append(
            (
                "mean",
                *(_mean([at.get((i, d)) for i in inits], places) for d in orders),
                _mean(list(at.values()), places),
            )
        )
        columns = (
            Column("init", "", "text"),
            *(Column(str(d), f"data {d}", "number") for d in orders),
            Column("mean", "mean", "number"),
        )
        made.append(
            Table(
                f"{result.row}/{result.column}: seeds",
                columns,
                tuple(rows),
                frozenset(),
                _spread(at, inits, orders, places),
            )
        )
    return made


def stability(plan: TablePlan, found: Sequence[CellResult]) -> list[Table]:
    """Std, mean, median, max and failed runs, ours beside theirs (Mosbach et al. 2021, table 1)."""
    places = digits(plan.table)
    rows: list[tuple[str, ...]] = []
    for result in found:
        told = summarize(result.values)
        middle = statistics.median(result.values) if result.values else math.nan
        top = max(result.values) if result.values else math.nan
        bad = result.failed + sum(is_degenerate(run) for run in result.runs)
        numbers = [_number(value, places) for value in (told.std, told.mean, middle, top)]
        ours = (result.row, result.column, "ours", str(result.n), *numbers, f"{bad} of {result.n + result.failed}")
        rows.append(ours)
        held = result.published
        if held is not None:
            given = (held.std, held.value, held.median, held.max)
            theirs = [NOTHING if value is None else f"{value:g}" for value in given]
            rows.append((result.row, result.column, "published", str(held.n or NOTHING), *theirs, NOTHING))
    columns = (
        *(Column(key, key, "text") for key in ("row", "column")),
        Column("of", "", "text"),
        *(Column(key, key, "number") for key in ("n", "std", "mean", "median", "max")),
        Column("failed", "failed runs", "text"),
    )
    note = "a run failed if it did not finish, or ended no better than the commonest class (Mosbach et al. 2021)"
    return [Table(f"{plan.table.title}: stability", columns, tuple(rows), frozenset(), (note,))]


VIEWS: dict[str, Callable[[TablePlan, Sequence[CellResult]], list[Table]]] = {
    "budget": budget,
    "seeds": seeds,
    "stability": stability,
}


def view(name: str) -> Callable[[TablePlan, Sequence[CellResult]], list[Table]]:
    """One of VIEWS, or one of the user's own: conf/view/<name>.yaml. Raises ExpError where there is none."""
    if name in VIEWS:
        return VIEWS[name]
    own = parts("view")
    if name not in own:
        raise ExpError(f"view={name}: no such view{nearest(name, [*VIEWS, *own])}")
    made: Callable[[TablePlan, Sequence[CellResult]], list[Table]] = own[name]
    return made


def _spread(
    at: Mapping[tuple[Any, Any], float], inits: Sequence[Any], orders: Sequence[Any], places: int
) -> tuple[str, ...]:
    """Standard deviation of the row means and of the column means, where the grid is full."""
    if len(at) < len(inits) * len(orders) or len(inits) < 2 or len(orders) < 2:
        return ("the grid is not full yet",)
    rows = [statistics.fmean(at[i, d] for d in orders) for i in inits]
    columns = [statistics.fmean(at[i, d] for i in inits) for d in orders]
    return (
        f"standard deviation of the means by init seed {statistics.stdev(rows):.{places}f}, "
        f"by data seed {statistics.stdev(columns):.{places}f}",
    )


def _mean(values: Sequence[float | None], places: int) -> str:
    held = [value for value in values if value is not None]
    return _number(statistics.fmean(held), places) if held else NOTHING


def _number(value: float | None, places: int) -> str:
    return NOTHING if value is None or math.isnan(value) else f"{value:.{places}f}"
