"""What the strategies and intervals of the settings ask for after an optimizer step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exp.loop.plan import StepPlan
    from exp.options.settings import TrainingSettings


@dataclass(frozen=True)
class Due:
    """What follows an optimizer step."""

    log: bool
    evaluate: bool
    save: bool


@dataclass(frozen=True)
class Rhythm:
    settings: TrainingSettings
    plan: StepPlan

    def due(self, step: int) -> Due:
        """`step`: 1 is the first. The last one is evaluated whatever the strategy says."""
        settings, last = self.settings, step >= self.plan.total_steps

        def asked(strategy: str, every: int) -> bool:
            if strategy == "steps":
                return step % every == 0
            return strategy == "epoch" and (last or step % self.plan.steps_per_epoch == 0)

        return Due(
            log=asked(settings.logging_strategy, settings.logging_steps),
            evaluate=last or asked(settings.eval_strategy, settings.eval_steps or settings.logging_steps),
            save=asked(settings.save_strategy, settings.save_steps),
        )
