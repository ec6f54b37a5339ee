"""A W&B run, offline or through the API, as RunData."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from exp.analysis.run_data import RunData, extremes, full_name, task_name
from exp.compat.wandb import CONFIG_NODE, MEDIA_TYPE, RUNTIME, STEP, is_own
from exp.run.events import Event
from exp.run.identity import condition_hash, flatten

# W&B's words for how a run ended; exp's own word stands in the summary and wins.
STATES = {
    "finished": "completed",
    "running": "running",
    "failed": "failed",
    "crashed": "died",
    "killed": "interrupted",
    "preempted": "interrupted",
    "preempting": "interrupted",
}
# Job types of the runs that exp writes about other runs; they hold tables and pictures, no training.
ABOUT_RUNS = ("study", "comparison")
# Added by the tracker to the config that was composed.
ADDED = (
    *("condition", "run_id", "folder", "commit", "options", "data_fingerprint", "parameters", "trained_parameters"),
    CONFIG_NODE,
)


def to_run(
    *,
    source: str,
    id: str,
    state: str,
    config: Mapping[str, Any],
    summary: Mapping[str, Any],
    group: str | None,
    created: str | None,
    rows: Iterable[Mapping[str, Any]],
) -> RunData:
    """`rows` are history rows in order. A run that exp did not write gets a condition from its config."""
    plain = {key: value for key, value in config.items() if key not in ADDED}
    history = tuple(to_event(row) for row in rows)
    best, last = extremes(history)
    notes = []
    condition = config.get("condition")
    if not condition:
        condition = condition_hash(plain)
        notes.append("exp did not write this run: its condition is made from its W&B config")
    flat = dict(flatten(plain))
    named = summary.get("objective") or flat.get("metric_for_best_model")
    return RunData(
        source=source,
        id=str(config.get("run_id") or id),  # in a sweep W&B's id is the agent's
        condition=str(condition),
        seed=plain.get("seed") if isinstance(plain.get("seed"), int) else None,
        group=group or str(condition),
        task=task_name({}, flat),
        status=str(summary.get("status") or STATES.get(state, state)),
        reason=None,
        created=created,
        finished=None,
        config=flat,
        best=best,
        last=last,
        objective=full_name(named if isinstance(named, str) else None, best),
        cost=_costs(summary),
        data={},
        code=config.get("commit"),
        notes=tuple(notes),
        options=config.get("options") or {},
        history=history,
    )


def _costs(summary: Mapping[str, Any]) -> dict[str, float]:
    """The tracker writes them as cost/<name>, or nested."""
    flat = flatten({"cost": summary["cost"]}) if isinstance(summary.get("cost"), Mapping) else summary.items()
    values = {key[5:]: number(value) for key, value in flat if key.startswith(("cost/", "cost."))}
    return {key: value for key, value in values.items() if value is not None}


def to_event(row: Mapping[str, Any]) -> Event:
    """`step` as exp logs it, else W&B's own `_step`."""
    step = number(row.get("step", row.get(STEP, 0)))
    # The parts of a picture or a table are no metrics.
    media = tuple(key.removesuffix(MEDIA_TYPE) + "." for key in row if key.endswith(MEDIA_TYPE))
    metrics = {}
    for key, value in row.items():
        if is_own(key) or key.startswith(media) or key in ("step", "epoch"):
            continue
        found = number(value)
        if found is not None:
            metrics[key] = found
    return Event(int(step or 0), number(row.get("epoch")) or 0.0, number(row.get(RUNTIME)) or 0.0, metrics)


def number(value: Any) -> float | None:
    """W&B writes NaN and infinities as words."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if value in ("NaN", "Infinity", "-Infinity"):
        return math.nan if value == "NaN" else float(value.replace("Infinity", "inf"))
    return None


def unpacked(config: Any) -> dict[str, Any]:
    """`{"lr": {"value": 1, "desc": null}}` -> `{"lr": 1}`; already plain configs pass."""
    if isinstance(config, str):
        config = json.loads(config or "{}")
    return {
        key: value["value"]
        if isinstance(value, dict) and "value" in value and set(value) <= {"value", "desc"}
        else value
        for key, value in (config or {}).items()
    }
