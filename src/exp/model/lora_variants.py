"""Adapters that are LoRA with one thing changed; each is one argument of peft's LoraConfig."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge

from exp.model.adapter import Lora


@dataclass(frozen=True)
class Dora(Lora):
    """LoRA for a weight's direction, and its length trained beside it (Liu et al. 2024)."""

    def variant(self) -> dict[str, Any]:
        return {"use_dora": True}


@dataclass(frozen=True)
class RsLora(Lora):
    """LoRA scaled by lora_alpha / sqrt(r), so that high ranks learn as well (Kalajdzievski 2023)."""

    def variant(self) -> dict[str, Any]:
        return {"use_rslora": True}


@dataclass(frozen=True)
class Pissa(Lora):
    """LoRA that starts from a weight's largest singular values and freezes what they leave (Meng et al. 2024)."""

    svd_iterations: Annotated[int, Ge(1)] | None

    def variant(self) -> dict[str, Any]:
        many = self.svd_iterations
        return {"init_lora_weights": "pissa" if many is None else f"pissa_niter_{many}"}
