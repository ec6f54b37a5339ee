"""What reading several sources gives: runs, and what was no readable run."""

from __future__ import annotations

from dataclasses import dataclass, field

from exp.analysis.run_data import RunData


@dataclass(frozen=True)
class Problem:
    """A source that is no readable run, and why."""

    source: str
    why: str


@dataclass
class Collection:
    runs: list[RunData] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
