"""What a NaN, infinite or spiking loss does to a run."""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import Any

import torch

from exp.errors import ExpError

log = logging.getLogger(__name__)


class BadLoss:
    """`stop` ends the run at the first loss that is not finite. `skip` drops the step's gradients and goes on;
    `rewind` besides takes weights and optimizer back to the newest checkpoint, the data going on (the remedy of
    PaLM, Chowdhery et al. 2022, section 5.1). These two also act on a spike: a loss above the mean of the last
    `window` losses by more than `sigmas` standard deviations.

    On a device that computes ahead of the host, `stop` reads a loss one step late, so that no step waits for the
    one before; `settle` is called before anything of the weights is kept or shown.
    """

    window = 50
    sigmas = 8.0  # a batch of 8 hard examples reaches 4 to 5
    patience = 10  # bad steps in a row that end the run all the same

    def __init__(self, action: str, device: str) -> None:
        self.action = action
        self.late = action == "stop" and device != "cpu"
        self.unread: tuple[torch.Tensor, int, float] | None = None  # loss, step, rate
        self.losses: deque[float] = deque(maxlen=self.window)
        self.in_a_row = 0

    def judge(self, loss: torch.Tensor, step: int, lr: float) -> str:
        """`keep`, `skip` or `rewind`; raises ExpError where the run has to stop."""
        if self.late:
            self.settle()
            self.unread = (loss.detach(), step, lr)
            return "keep"
        return self._judge(float(loss), step, lr)

    def settle(self) -> None:
        """Reads what was left unread; raises ExpError if it was bad."""
        if self.unread is not None:
            (loss, step, lr), self.unread = self.unread, None
            self._judge(float(loss), step, lr)

    def _judge(self, value: float, step: int, lr: float) -> str:
        if math.isfinite(value) and not (self.action != "stop" and self._spikes(value)):
            if self.action != "stop":
                self.losses.append(value)
            self.in_a_row = 0
            return "keep"
        self.in_a_row += 1
        if self.action == "stop" or self.in_a_row >= self.patience:
            raise self.error(step, f"at learning rate {lr:.3g}", value)
        log.warning("loss %.4g at step %d (learning rate %.3g): %s", value, step, lr, self.action)
        return self.action

    def error(self, step: int, why: str, value: float = math.nan) -> ExpError:
        return ExpError(
            f"the loss is {value:.4g} at step {step} {why}; lower optimizer.lr, raise scheduler.warmup_steps, "
            "clip with max_grad_norm, or set on_bad_loss=skip"
        )

    def _spikes(self, value: float) -> bool:
        if len(self.losses) < self.window:
            return False
        mean = sum(self.losses) / self.window
        spread = math.sqrt(sum((x - mean) ** 2 for x in self.losses) / (self.window - 1))
        return value > mean + self.sigmas * spread

    def state(self) -> dict[str, Any]:
        return {"losses": list(self.losses), "in_a_row": self.in_a_row}

    def restore(self, state: dict[str, Any]) -> None:
        self.losses.extend(state["losses"])
        self.in_a_row = state["in_a_row"]
