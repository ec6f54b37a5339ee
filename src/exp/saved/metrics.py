"""Which of a run's recorded metrics belong to the weights that it saved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.loop.stopping import Stopping
from exp.metrics.key import Key
from exp.run.events import Event, read_events
from exp.run.result import read_result
from exp.run.said import near

if TYPE_CHECKING:
    from exp.saved.finished import Finished


def recorded(run: Finished) -> dict[str, dict[str, float]]:
    """As of_saved_weights, of a finished run."""
    return of_saved_weights(
        read_events(run.folder / "metrics.jsonl"),
        run.config,
        run.facts["objective"],
        run.facts["greater_is_better"],
        (read_result(run.folder / "result.json") or {}).get("saved_step"),
    )


def check_recorded(run: Finished) -> None:
    """Raises ExpError where the run's evaluations have been lost."""
    path, result = run.folder / "metrics.jsonl", read_result(run.folder / "result.json") or {}
    if _evaluated(result.get("last", {})) and not any(_evaluated(event.metrics) for event in read_events(path)):
        raise ExpError(
            f"{near(path)} is missing or was changed: it holds no evaluation, and result.json does; put the file back"
        )


def _evaluated(keys: Iterable[str]) -> bool:
    return any(Key.of(key).kind == "eval" for key in keys)


def of_saved_weights(
    events: Sequence[Event],
    config: Mapping[str, Any],
    objective: str,
    greater_is_better: bool,
    saved_step: int | None = None,
) -> dict[str, dict[str, float]]:
    """Metric key -> {"value", "step"} of evaluation and test sets; empty where the run evaluated nothing.

    These are the evaluation's at `saved_step` of result.json. Runs of the first version lack it: theirs are the best
    evaluation's with load_best_model_at_end, else the last's. Test metrics are always measured on the final weights.
    """
    stopping = Stopping(greater_is_better, None, config["early_stopping_threshold"])
    last = None
    for event in events:
        if _evaluated(event.metrics):
            last = event.step
            stopping.update(event.metrics.get(objective, math.nan), event.step)
    best = stopping.best_step if config["load_best_model_at_end"] else None
    step = saved_step if saved_step is not None else (last if best is None else best)
    found = {}
    for event in events:
        for key, value in event.metrics.items():
            kind = Key.of(key).kind
            if kind == "test" or (kind == "eval" and event.step == step):
                found[key] = {"value": value, "step": event.step}
    return found
