"""metrics.jsonl: one flushed line an event, appended only, so that it survives `kill -9`.

    {"step": 120, "epoch": 0.96, "time": 12.3, "metrics": {"train/loss": 0.41}}

`time` is seconds of this run, over all its resumes. A metric that is null was NaN or infinite.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.run.files import finite
from exp.run.shape import visible


@dataclass(frozen=True)
class Event:
    step: int
    epoch: float
    time: float
    metrics: dict[str, float]


class EventLog:
    """Appends events; `seconds` already spent before a resume shift the clock."""

    def __init__(self, path: Path, seconds: float = 0.0) -> None:
        self.file = path.open("a", encoding="utf-8")
        self.begun = time.perf_counter() - seconds

    def append(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        event = {
            "step": step,
            "epoch": round(epoch, 6),
            "time": round(time.perf_counter() - self.begun, 3),
            "metrics": finite(dict(metrics)),
        }
        self.file.write(json.dumps(event) + "\n")
        self.file.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # a full disk; `append` has said so
            self.file.close()


def read_events(path: Path) -> list[Event]:
    """All whole events; a line that a crash cut short or that is no event is passed over."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    return [event for line in lines if (event := _event(line)) is not None]


def cut(path: Path, size: int, step: int) -> tuple[int, bool]:
    """Cuts the file to its whole events of steps up to `step` within the first `size` bytes; it never gets longer.

    Returns:
        how many events were dropped, and whether less is left than the `size` bytes that there once were.
    """
    if not path.exists():
        return 0, size > 0
    before = len(read_events(path))
    kept = at = 0
    for line in path.read_bytes()[:size].splitlines(keepends=True):
        at += len(line)
        event = _event(line)
        if line.endswith(b"\n") and event is not None and event.step <= step:
            kept = at
    if kept != path.stat().st_size:
        os.truncate(path, kept)
    return before - len(read_events(path)), kept < size


def _event(line: bytes) -> Event | None:
    """None for what is no event: no JSON, fields that are missing, steps or metrics that are no numbers."""
    try:
        raw = json.loads(line)
        metrics = {
            visible(str(key)): math.nan if value is None else _number(value) for key, value in raw["metrics"].items()
        }
        step = raw["step"]
        if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < 2**53:
            return None
        return Event(step, _number(raw["epoch"]), _number(raw["time"]), metrics)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number of JSON")
    return value
