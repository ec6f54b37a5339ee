"""The mean training loss since the last log."""

from __future__ import annotations

from typing import Any

import torch


class TrainLoss:
    """Summed on the device, in float64 where it has it, so that no step waits for the host."""

    def __init__(self, device: torch.device) -> None:
        place = torch.device("cpu") if device.type == "mps" else device  # MPS has no float64
        self.sum = torch.zeros((), dtype=torch.float64, device=place)
        self.steps = 0

    def add(self, loss: torch.Tensor) -> None:
        """`loss`: a scalar, of one optimizer step."""
        self.sum += loss.to(self.sum.dtype)
        self.steps += 1

    def take(self) -> float:
        """The mean over the steps since the last call."""
        mean = self.sum.item() / self.steps
        self.sum.zero_()
        self.steps = 0
        return mean

    def state(self) -> dict[str, Any]:
        return {"sum": self.sum.item(), "steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        self.sum.fill_(state["sum"])
        self.steps = state["steps"]
