"""Callbacks: a class with the YAML's keys, and `make`, which gives a transformers.TrainerCallback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import TrainerCallback


@dataclass(frozen=True)
class WeightNorm:
    """Says after every epoch how large the weights have become."""

    def make(self) -> TrainerCallback:
        from myproject.weight_norm import WeightNormCallback

        return WeightNormCallback()
