"""results.json: runs and their cells in one file that others can read, and that exp compare reads back as a source."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.analysis.comparison import Comparison
from exp.analysis.run_data import RunData
from exp.errors import ExpError
from exp.run.files import finite

if TYPE_CHECKING:
    from exp.analysis.tables.results import CellResult

FORMAT, SCHEMA = "exp.results", 1


def of_comparison(comparison: Comparison) -> dict[str, Any]:
    """Plain containers. A cell is a condition on one metric, of values at the last evaluation."""
    cells = [
        {
            "task": task.name,
            "condition": condition.id,
            "label": condition.label,
            "metric": key,
            "n": found.last.n,
            "mean": found.last.mean,
            "std": found.last.std,
            "best_mean": found.best.mean,
            "runs": [run.id for run in condition.counted],
            **_common(condition.counted),
        }
        for task in comparison.tasks
        for condition in task.conditions
        for key, found in condition.metrics.items()
    ]
    return _file(cells, comparison.runs)


def of_table(name: str, found: Sequence[CellResult]) -> dict[str, Any]:
    """The same of a paper's table: a cell is a row and a column, in the table's unit, with its published value."""
    cells = [
        {
            "table": name,
            "row": cell.row,
            "column": cell.column,
            "n": cell.n,
            "mean": cell.shown,
            "std": cell.std,
            "values": list(cell.values),
            "published": cell.published.value if cell.published else None,
            "unverified": cell.published.unverified if cell.published else None,
            "verdict": cell.verdict.word,
            "why": cell.verdict.why,
            "runs": [run.id for run in cell.runs],
            **_common(cell.runs),
        }
        for cell in found
    ]
    return _file(cells, {run.id: run for cell in found for run in cell.runs}.values())


def _common(runs: Iterable[RunData]) -> dict[str, Any]:
    held = list(runs)
    return {
        "seeds": [run.seed for run in held],
        "commits": sorted({run.code for run in held if run.code}),
        "data": sorted({str(run.data["fingerprint"]) for run in held if run.data.get("fingerprint")}),
    }


def _file(cells: list[dict[str, Any]], runs: Iterable[RunData]) -> dict[str, Any]:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    told = {"format": FORMAT, "schema": SCHEMA, "created": created, "cells": cells}
    return finite({**told, "runs": [run.to_json() for run in runs]})


def read(path: Path) -> list[RunData]:
    """The runs of a results.json; they have no curves. Raises ExpError for any other file."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ExpError(f"{path} cannot be read as JSON ({str(error).splitlines()[0][:80]})") from None
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise ExpError(f"{path} is no results.json of exp: its key 'format' is not {FORMAT!r}")
    if not isinstance(held.get("schema"), int) or held["schema"] > SCHEMA:
        raise ExpError(f"{path} has schema {held.get('schema')!r}; this exp reads up to {SCHEMA}: install a newer one")
    try:
        return [RunData.from_json({**run, "cost": _numbers(run["cost"]), "history": ()}) for run in held["runs"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ExpError(f"{path} is damaged: a run lacks {error}") from None


def _numbers(cost: dict[str, Any]) -> dict[str, float]:
    """JSON has no word for NaN."""
    return {key: math.nan if value is None else float(value) for key, value in cost.items()}
