"""Calibration of conditions, from the probabilities in their predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from exp.analysis.evidence.item_runs import ItemRun
from exp.analysis.evidence.predictions import read
from exp.analysis.evidence.results import CalibratedCondition
from exp.errors import ExpError
from exp.metrics import calibration
from exp.metrics.calibration import Calibration


def conditions(runs: Sequence[ItemRun], split: str, notes: list[str]) -> Mapping[str, CalibratedCondition]:
    """Empty, with a note, for tasks without probabilities."""
    found = {}
    for id in dict.fromkeys(run.condition.id for run in runs):
        held = [run for run in runs if run.condition.id == id]
        told = [_of_run(run, split) for run in held]
        kept = [one for one in told if one is not None]
        if not kept:
            notes.append("this task's predictions hold no probabilities: nothing to calibrate")
            return {}
        found[id] = _mean(kept)
    return found


def _of_run(run: ItemRun, split: str) -> tuple[Calibration, float, str, float] | None:
    told = run.found.reading.probabilities(run.found.table)
    if told is None:
        return None
    temperature, on = _temperature(run, split)
    if temperature is None:
        temperature = calibration.fit_temperature(*told)
    after = calibration.measure(*told, temperature)
    return calibration.measure(*told), temperature, on, after.ece


def _temperature(run: ItemRun, split: str) -> tuple[float | None, str]:
    """What the run recorded, else what its evaluation set gives; None: fit it on `split` itself."""
    recorded = run.found.run.data.get("calibration") or {}
    if recorded.get("temperature"):
        return float(recorded["temperature"]), str(recorded.get("split", "eval"))
    if split != "eval":
        try:
            other = read(run.found.run, "eval")
        except ExpError:
            return None, split
        told = other.reading.probabilities(other.table)
        if told is not None:
            return calibration.fit_temperature(*told), "eval"
    return None, split


def _mean(told: Sequence[tuple[Calibration, float, str, float]]) -> CalibratedCondition:
    runs = [one for one, *_ in told]
    numbers = [field.name for field in fields(Calibration) if field.name not in ("n", "bins")]
    means: dict[str, Any] = {name: float(np.mean([getattr(one, name) for one in runs])) for name in numbers}
    return CalibratedCondition(
        measured=replace(runs[0], **means),
        temperature=float(np.mean([one[1] for one in told])),
        fitted_on=told[0][2],
        ece_after=float(np.mean([one[3] for one in told])),
        overconfident=sum(one.overconfident for one in runs),
        seeds=len(told),
    )
