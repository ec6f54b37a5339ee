"""Lion as a torch optimizer (Chen et al. 2023, algorithm 2)."""

from __future__ import annotations

from typing import Any

import torch


class LionOptimizer(torch.optim.Optimizer):
    """One buffer a weight, half of Adam's memory."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None if closure is None else closure()
        for group in self.param_groups:
            first, second = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"]
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(torch.sign(momentum * first + weight.grad * (1 - first)), alpha=-group["lr"])
                momentum.lerp_(weight.grad, 1 - second)
        return loss
