"""loop=trainer: transformers.Trainer runs the steps; what lies between them is shared with loop=accelerate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exp.loop.base import Parts
    from exp.loop.trial import Trial
    from exp.run.folder import Run
    from exp.run.result import Result
    from exp.tracker.base import Tracker


@dataclass(frozen=True)
class TrainerLoop:
    def fit(self, parts: Parts, run: Run, tracker: Tracker, trial: Trial) -> Result:
        from exp.loop.hf_trainer import fit  # Trainer is a heavy import

        return fit(parts, run, tracker, trial)
