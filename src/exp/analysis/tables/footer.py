"""The notes under a table, as reproducibility checklists ask for them (Dodge et al. 2019; Pineau et al. 2021)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from exp.analysis.costs import said_of_cost
from exp.analysis.grouping import said_of_leaks
from exp.analysis.looks import by_chance
from exp.analysis.run_data import RunData
from exp.analysis.tables.plan import TablePlan
from exp.analysis.tables.results import CellResult, selected_by
from exp.errors import ExpError
from exp.run.folder import read_record
from exp.run.said import counted

THEIRS = "theirs are taken to vary over examples as ours do, and independently"
OVER = {
    "seeds": "over seeds and not over examples",
    "examples": f"over examples and not over seeds ({THEIRS})",
    "both": f"over seeds and examples ({THEIRS})",
}
READ = 300  # run records that are opened for versions and hardware, newest first


def lines(plan: TablePlan, found: Sequence[CellResult]) -> list[str]:
    table = plan.table
    source = [
        str(value) if key == "paper" else f"{key}: {value}" for key, value in table.source.items() if key != "split"
    ]
    said = [f"source: {'; '.join(source)}"]
    said.append(_runs(plan))
    said.append(_selection(plan))
    if table.search:
        how = f"{table.search.kind}, {counted(len(table.search.points), 'point')} a cell"
        said.append(f"searched: {'; '.join(table.search.bounds)} ({how})")
    said.append(f"same in all cells: {' '.join(table.overrides) or 'nothing beyond conf/train.yaml'}")
    for name, words in table.added.items():
        said.append(f"changed on the command line{f', {name}' if name else ''}: {' '.join(words)}")
    said.append(_rules(plan))
    used = {run.id: run for result in found for run in result.runs}
    said += _looks(plan, found)
    said += said_of_leaks(used.values())
    said += _machines(list(used.values()))
    degenerate = [f"{result.row}/{result.column} ({result.degenerate})" for result in found if result.degenerate]
    if degenerate:
        said.append(f"degenerate, no better than the commonest class at the end: {', '.join(degenerate)}")
    whole = _degenerate_rows(found)
    if whole:
        said.append(f"WARNING: every run of {', '.join(whole)} is degenerate; these numbers say nothing of the method")
    if table.split == "test_server":
        said.append("the test server's scores come from a submission (docs/tables.md); no local number is compared")
    return [*said, *_unverified(found), *table.notes]


def _unverified(found: Sequence[CellResult]) -> list[str]:
    count = sum(result.published is not None and result.published.unverified for result in found)
    known = sum(result.published is not None for result in found)
    if not count:
        return []
    return [f"UNVERIFIED: nobody has read {count} of {known} published values in the source; they are marked"]


def _runs(plan: TablePlan) -> str:
    states = Counter(job.state for job in plan.jobs)
    told = ", ".join(
        f"{states[state]} {state}" for state in ("found", "failed", "running", "missing", "waiting") if states[state]
    )
    reasons = Counter(str(job.why) for job in plan.jobs if job.state == "failed")
    why = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3))
    return f"runs: {told} of {len(plan.jobs)}{f'. Failed: {why}' if why else ''}"


def _selection(plan: TablePlan) -> str:
    table = plan.table
    use = {"last": "the final model", "best": "the best evaluation of each run"}[table.use]
    text = (
        f"numbers: {table.aggregate} over seeds of {use} on the {table.split.replace('_', ' ')} split, in {table.unit}"
    )
    if table.search:
        text += f"; of the search points the best by {table.search.select or 'the same metric on dev'}"
    if table.use == "best" or (table.search and table.split == "dev" and table.search.select is None):
        text += ". Chosen and reported on the same split, so too high as an estimate for new data"
    return text


def _looks(plan: TablePlan, found: Sequence[CellResult]) -> list[str]:
    """What the best of as many guesses as there are search points would reach, by column."""
    table, told = plan.table, {}
    if table.search is None or len(table.search.points) < 2:
        return []
    count = len(table.search.points)
    for result in found:
        guessed = by_chance(result.runs, selected_by(table, table.column(result.column)), count)
        if guessed is not None:
            told[result.column] = f"{result.column} {guessed[0] * table.scale:.2f}"
    guesses = f"; the best of {count} guesses would have: {', '.join(told.values())}" if told else ""
    return [f"looks at dev: each number is the best of {count} points{guesses}"]


def _rules(plan: TablePlan) -> str:
    rules = plan.table.judging
    seeds = counted(rules.min_seeds, "seed")
    tolerance = "no tolerance" if rules.tolerance is None else f"tolerance {rules.tolerance:g}"
    least = "" if rules.over == "examples" else f"at least {seeds}, "
    return (
        f"verdicts, {OVER[rules.over]}: {tolerance}, {least}prediction intervals up to {rules.widest:g} to either "
        f"side, at 95%; ± is the standard deviation over seeds"
    )


def _machines(runs: Sequence[RunData]) -> list[str]:
    if not runs:
        return []
    newest = sorted(runs, key=lambda run: run.created or "", reverse=True)[:READ]
    records = [record for run in newest if (record := _record(run)) is not None]
    said = [f"compute: {said_of_cost(runs)}"]
    hardware = _common(_machine(record.get("hardware") or {}) for record in records)
    models = _common(_model(record.get("model") or {}) for record in records)
    packages = _common(_versions(record.get("packages") or {}) for record in records)
    code = _common((run.code or "")[:9] + ("+" if (run.code or "").endswith("+") else "") for run in runs)
    for what, text in (("hardware", hardware), ("parameters", models), ("versions", packages), ("code", code)):
        if text:
            said.append(f"{what}: {text}")
    if len(runs) > READ:
        said.append(f"hardware, parameters and versions are those of the newest {READ} of {len(runs)} runs")
    return said


def _record(run: RunData) -> dict[str, Any] | None:
    try:
        return read_record(run.folder) if run.folder else None
    except ExpError:
        return None


def _machine(hardware: dict[str, Any]) -> str:
    gpus = Counter(hardware.get("gpus") or [])
    if gpus:
        return ", ".join(f"{count} x {name}" for name, count in gpus.items())
    return f"{hardware['cpu']}, {hardware.get('cores')} cores" if hardware.get("cpu") else ""


def _model(model: dict[str, Any]) -> str:
    if not model.get("parameters"):
        return ""
    trained = model.get("trained_parameters", model["parameters"])
    part = "" if trained == model["parameters"] else f" ({trained:,} trained)"
    return f"{model.get('type', 'model')} {model['parameters']:,}{part}"


def _versions(packages: dict[str, str]) -> str:
    shown = ("exp", "python", "torch", "transformers", "datasets", "accelerate")
    return " ".join(f"{name} {packages[name]}" for name in shown if name in packages)


def _common(texts: Iterable[str]) -> str:
    counted = Counter(text for text in texts if text)
    if len(counted) == 1:
        return next(iter(counted))
    return "; ".join(f"{text} ({count})" for text, count in counted.most_common(4))


def _degenerate_rows(found: Sequence[CellResult]) -> list[str]:
    rows = dict.fromkeys(result.row for result in found if result.n)
    return [
        row for row in rows if all(result.degenerate == result.n for result in found if result.row == row and result.n)
    ]
