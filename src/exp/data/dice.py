"""Draws for generated data, the same on every machine."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Only `Random.random`, whose sequence for a seed Python promises never to change."""

    def __init__(self, seed: int) -> None:
        self._next = random.Random(seed).random

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self._next() * len(choices))]

    def chance(self, probability: float) -> bool:
        return self._next() < probability

    def shuffled(self, count: int) -> list[int]:
        ranks = [self._next() for _ in range(count)]
        return sorted(range(count), key=ranks.__getitem__)
