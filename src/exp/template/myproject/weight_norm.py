"""A transformers.TrainerCallback; both loops call it at the same points."""

from __future__ import annotations

import logging
from typing import Any

from transformers import TrainerCallback

log = logging.getLogger("exp")


class WeightNormCallback(TrainerCallback):
    """The norm of all weights together."""

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> None:
        norm = sum(float(weight.detach().square().sum()) for weight in model.parameters()) ** 0.5
        log.info("step %d: norm of the weights %.2f", state.global_step, norm)
