"""What came of a run: result.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from exp.run import shape
from exp.run.files import write_json

SCHEMA = 1


@dataclass(frozen=True)
class Result:
    """`best` and `last` map a metric's key to {"value", "step"}; best by the metric's own direction."""

    status: str  # completed | pruned | failed | interrupted
    objective: dict[str, Any]  # name, value, step: the best value of metric_for_best_model
    best: dict[str, dict[str, float]]
    last: dict[str, dict[str, float]]
    cost: dict[str, float]  # train_seconds, samples_per_second, tokens_per_second, steps, peak_memory_bytes, ...
    stopped_early: bool = False
    reason: str | None = None
    saved_step: int | None = None  # the optimizer step whose weights model/ holds and the test sets were measured with
    schema: int = field(default=SCHEMA)


def write_result(path: Path, result: Result) -> None:
    write_json(path, asdict(result))


def read_result(path: Path) -> dict[str, Any] | None:
    """None where there is none, or where it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or shape.damaged(found, shape.RESULT) is not None:
        return None
    return shape.visible(found)
