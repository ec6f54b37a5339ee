"""Reads a run folder's learning curves, judges and draws them."""

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
class CurveSummary:
    folder: Path
    title: str
    status: str
    curve: Curve
    facts: Facts
    verdict: Verdict


def read(folder: Path, limits: Thresholds) -> CurveSummary:
    """Raises ExpError where `folder` holds no readable run.json."""
    record = read_record(folder)
    curve = build(read_events(folder / "metrics.jsonl"))
    facts = facts_of(record, folder)
    name = (record.get("data") or {}).get("name") or folder.name
    title = f"{name}, seed {record.get('seed')}  (run {record.get('id')}, condition {record.get('condition')})"
    return CurveSummary(folder, title, record.get("status", "?"), curve, facts, verdict(curve, facts, limits))


def draw_and_judge(folder: Path, limits: Thresholds, *, picture: bool = True) -> str:
    """Called once when a run ends: draws curves.png if asked for and returns the verdict's lines.

    A picture that cannot be drawn costs a warning, never the run.
    """
    summary = read(folder, limits)
    if not picture:
        return summary.verdict.text()
    from exp.curves.picture import draw

    try:
        draw(summary.curve, summary.verdict, folder / "curves.png", summary.title, summary.facts)
    except Exception as error:
        log.warning("curves.png was not drawn: %s", error)
    return summary.verdict.text()
