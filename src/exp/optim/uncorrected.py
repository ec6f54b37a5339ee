"""BERT's own Adam: AdamW without bias correction (Devlin et al. 2019, optimization.py).

Torch has no switch for it. Mosbach et al. 2021 and Zhang et al. 2021 find that leaving the correction out is a main
cause of failed runs on small data, so a reproduction needs both.
"""

from __future__ import annotations

import torch


class UncorrectedAdamW(torch.optim.Optimizer):
    """`w -= lr * (m / (sqrt(v) + eps) + weight_decay * w)`, with plain running means m and v that start at 0."""

    def __init__(self, params, lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["exp_avg"] = torch.zeros_like(p)
                    state["exp_avg_sq"] = torch.zeros_like(p)
                m, v = state["exp_avg"], state["exp_avg_sq"]
                m.lerp_(p.grad, 1 - beta1)
                v.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                update = m / v.sqrt().add_(group["eps"])
                if group["weight_decay"]:
                    update.add_(p, alpha=group["weight_decay"])
                p.add_(update, alpha=-group["lr"])
        return loss
