"""metrics.jsonl: one flushed line an event, appended only, so that it survives `kill -9`.

    {"step": 120, "epoch": 0.96, "time": 12.3, "metrics": {"train/loss": 0.41}}

`time` is seconds of this run, over all its resumes. A metric that is null was NaN or infinite.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exp.run.files import finite


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
        self.file.close()


def read_events(path: Path) -> list[Event]:
    """All whole events; a line that a crash cut short is passed over, and so are fields that this version lacks."""
    events = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            raw = json.loads(line)
            metrics = {key: math.nan if value is None else value for key, value in raw["metrics"].items()}
            events.append(Event(int(raw["step"]), float(raw["epoch"]), float(raw["time"]), metrics))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return events
