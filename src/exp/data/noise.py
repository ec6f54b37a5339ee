"""Wrong labels in generated data, which no model can know."""

from __future__ import annotations

from collections.abc import Sequence

from exp.data.dice import Dice


def with_wrong_labels(dice: Dice, classes: Sequence[int], count: int, share: float) -> list[int]:
    """`classes`, of which exactly round(rows * share) are another of the `count` classes."""
    found = list(classes)
    for row in dice.shuffled(len(found))[: round(len(found) * share)]:
        found[row] = (found[row] + dice.pick(range(1, count))) % count
    return found
