"""One run folder read, judged and drawn."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from exp.curves.curve import Curve, Facts, build, facts_of
from exp.curves.rules import verdict
from exp.curves.verdict import Thresholds, Verdict
from exp.run.events import read_events
from exp.run.folder import read_record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    folder: Path
    title: str
    status: str
    curve: Curve
    facts: Facts
    verdict: Verdict


def read(folder: Path, limits: Thresholds) -> Reading:
    """Raises ExpError where `folder` holds no readable run.json."""
    record = read_record(folder)
    curve = build(read_events(folder / "metrics.jsonl"))
    facts = facts_of(record, folder)
    name = (record.get("data") or {}).get("name") or folder.name
    title = f"{name}, seed {record.get('seed')}  (run {record.get('id')}, condition {record.get('condition')})"
    return Reading(folder, title, record.get("status", "?"), curve, facts, verdict(curve, facts, limits))


def finish(folder: Path, limits: Thresholds, *, picture: bool = True) -> str:
    """Called once when a run ends: draws curves.png if asked for and returns the verdict's lines.

    A picture that cannot be drawn costs a warning, never the run.
    """
    reading = read(folder, limits)
    if not picture:
        return reading.verdict.text()
    from exp.curves.picture import draw

    try:
        draw(reading.curve, reading.verdict, folder / "curves.png", reading.title, reading.facts)
    except Exception as error:
        log.warning("curves.png was not drawn: %s", error)
    return reading.verdict.text()
