"""A sweep's or study's folder in Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exp.analysis.collect import collect
from exp.api.run import LoadedRun
from exp.api.tables import ComparedRuns, compare, runs
from exp.errors import ExpError
from exp.metrics.best import directions_of, rises

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sweep:
    """`folder` holds a run folder for each point."""

    folder: Path

    @property
    def runs(self) -> pd.DataFrame:
        """As `exp.runs`."""
        return runs(self.folder)

    @property
    def best(self) -> LoadedRun:
        """The completed run with the best objective. Raises ExpError where none has completed."""
        done = [
            run for run in collect([str(self.folder)]).runs if run.status == "completed" and run.objective in run.best
        ]
        if not done:
            raise ExpError(f"{self.folder}: no run has completed")
        name = done[0].objective or ""
        better = max if rises(name, directions_of(done[0].data)) else min
        return LoadedRun(better(done, key=lambda run: run.best[name].value).source)

    def compare(self) -> ComparedRuns:
        """As `exp.compare`."""
        return compare(self.folder)
