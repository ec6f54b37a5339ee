"""Linear layers whose fp32 products oneDNN computes, where torch would ask MKL.

MKL takes its AVX2 kernels on a processor of AMD, whatever that has: half of the rate, or less, where it has AVX-512.
torch takes oneDNN for bf16 alone. The products are fp32 as before; their sums are rounded in another order, as with
another number of threads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from exp.compat.torch import onednn_product

SMALLEST = 256 * 256  # weights; below it the call costs more than the product gains


class OneDnnLinear(nn.Linear):
    """An nn.Linear by change of class, so that weights, names and everything that looks for one stay."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.dtype != torch.float32 or torch.is_autocast_enabled("cpu") or self.weight.dtype != torch.float32:
            return super().forward(input)
        rows = input.reshape(-1, input.shape[-1])
        return _Product.apply(rows, self.weight, self.bias).reshape(*input.shape[:-1], -1)  # type: ignore[no-untyped-call, no-any-return]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(rows, weight)
        return product(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        rows, weight = ctx.saved_tensors
        for_rows, for_weight, for_bias = ctx.needs_input_grad
        return (
            product(grad, weight.t()) if for_rows else None,
            product(grad.t(), rows.t()) if for_weight else None,
            grad.sum(0) if for_bias else None,
        )


def product(left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """left (n, k) times right (m, k) transposed, plus bias (m); both may be transposed views."""
    return onednn_product(left, right, bias)


def mkl_lags() -> bool:
    """Whether this is a processor of AMD with AVX-512, under a torch that has both libraries."""
    from torch.backends import cpu, mkl, mkldnn

    wide = cpu.get_cpu_capability() == "AVX512" and mkl.is_available() and mkldnn.is_available()
    return wide and str(torch.cpu.get_capabilities().get("cpu_name", "")).startswith("AMD")


def onednn_linear(model: nn.Module) -> None:
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.numel() >= SMALLEST:
            module.__class__ = OneDnnLinear
