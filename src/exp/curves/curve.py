"""A run's learning curves as series, and the facts about its data that the rules need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.curves.first_version import first_version_chance
from exp.metrics.best import directions_of, rises
from exp.metrics.key import Key
from exp.metrics.names import LOSS
from exp.run.events import Event


@dataclass(frozen=True)
class Series:
    """Finite values of one metric, by rising optimizer step."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)


EMPTY = Series()


@dataclass(frozen=True)
class Curve:
    """`bad` holds (step, metric) of every value that was NaN or infinite, rewound steps included."""

    series: Mapping[str, Series]
    epochs: Mapping[int, float] = field(default_factory=dict)
    times: Mapping[int, float] = field(default_factory=dict)  # seconds
    bad: tuple[tuple[int, str], ...] = ()

    def get(self, key: str) -> Series:
        return self.series.get(key, EMPTY)


@dataclass(frozen=True)
class Facts:
    """What a curve alone does not tell. None: unknown; a rule that needs it is passed over and says so."""

    primary_metric: str | None = None  # a bare name, as `accuracy`; its series is eval/accuracy
    chance_loss: float | None = None  # of guessing, by the task: what eval/loss is judged against
    floors: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # bare name -> chance, its error
    eval_examples: int | None = None
    directions: Mapping[str, bool] = field(default_factory=dict)  # as in exp.metrics.best.rises
    chance_train_loss: float | None = None  # of guessing, by the loss that is trained

    def rises(self, key: str) -> bool:
        return rises(key, self.directions)


class CurveBuilder:
    """Adds events one by one. Where steps go back (a resume, a rewind) later events replace earlier ones."""

    def __init__(self) -> None:
        self.points: dict[str, dict[int, float]] = {}
        self.epochs: dict[int, float] = {}
        self.times: dict[int, float] = {}
        self.bad: list[tuple[int, str]] = []
        self.last_step = -1

    def add(self, event: Event) -> None:
        # Test sets are measured once, with the weights that are saved: their step may be an earlier one.
        going_back = event.step < self.last_step and not all(key.startswith("test") for key in event.metrics)
        if going_back:
            for points in (*self.points.values(), self.epochs, self.times):
                for step in [step for step in points if step >= event.step]:
                    del points[step]
        if going_back or event.step >= self.last_step:
            self.last_step = event.step
            self.epochs[event.step] = event.epoch
            self.times[event.step] = event.time
        for key, value in event.metrics.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if math.isfinite(value):
                self.points.setdefault(key, {})[event.step] = float(value)
            else:
                self.bad.append((event.step, key))

    def curve(self) -> Curve:
        series = {
            key: Series(tuple(sorted(points)), tuple(points[step] for step in sorted(points)))
            for key, points in self.points.items()
            if points
        }
        return Curve(series, dict(self.epochs), dict(self.times), tuple(self.bad))


def build(events: Iterable[Event]) -> Curve:
    builder = CurveBuilder()
    for event in events:
        builder.add(event)
    return builder.curve()


def primary_key(curve: Curve, facts: Facts) -> str | None:
    """The series that ranks checkpoints: eval/<primary metric>, else any eval metric, else eval/loss."""
    if facts.primary_metric and f"eval/{facts.primary_metric}" in curve.series:
        return f"eval/{facts.primary_metric}"
    metrics = eval_metrics(curve)
    return metrics[0] if metrics else ("eval/loss" if "eval/loss" in curve.series else None)


def eval_metrics(curve: Curve) -> list[str]:
    """Of the first evaluation set: what measures quality, the loss left out."""
    keys = {text: Key.of(text) for text in curve.series}
    return [text for text, key in keys.items() if key.split == "eval" and key.is_quality and key.name != LOSS]


def facts_of(record: Mapping[str, Any], folder: Path | None = None) -> Facts:
    """From run.json's `data`. A record of the first version has label shares in place of `chance`."""
    data = record.get("data") or {}
    metrics = data.get("metrics") or [None]
    primary = Key.of(data["objective"]).name if data.get("objective") else metrics[0]
    counts = data.get("eval_examples")
    count = counts.get("") if isinstance(counts, dict) else counts  # by suffix of the evaluation set; "": eval/
    chance = data.get("chance")
    if chance is None:
        loss, floors, count = first_version_chance(data, count, folder)
    else:
        loss, floors = chance["loss"], {name: (level, error) for name, (level, error) in chance["metrics"].items()}
    return Facts(
        primary_metric=primary,
        chance_loss=loss,
        chance_train_loss=data.get("chance_train_loss", loss),  # older runs say it of their model's own loss
        floors=floors,
        eval_examples=count,
        directions=directions_of(data),
    )
