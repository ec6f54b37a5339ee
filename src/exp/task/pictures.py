"""What a table of predictions looks like, as plain numbers: a page, a tracker or a terminal draws them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_POINTS = 5000  # of a scatter: more only make it blacker
MOST_CLASSES = 30  # wider matrices cannot be read


@dataclass(frozen=True)
class Confusion:
    """`counts[i][j]`: items of class i that were predicted as class j."""

    names: list[str]
    counts: list[list[int]]


@dataclass(frozen=True)
class Scatter:
    """`pairs`: (label, prediction)."""

    pairs: list[tuple[float, float]]


Picture = Confusion | Scatter


def confusion(labels: Sequence[Any], predictions: Sequence[Any], names: Sequence[str] | None) -> list[Picture]:
    """Of pairs with a label; nothing where there are none, or too many classes. `names`: their order, where known."""
    pairs = Counter((label, guess) for label, guess in zip(labels, predictions, strict=True) if label is not None)
    seen = {name for pair in pairs for name in pair}
    order = list(names) if names and seen <= set(names) else sorted(seen, key=str)
    if not pairs or len(order) > MOST_CLASSES:
        return []
    return [Confusion([str(name) for name in order], [[pairs[a, p] for p in order] for a in order])]


def scatter(labels: Sequence[float | None], predictions: Sequence[float]) -> list[Picture]:
    pairs = [(label, guess) for label, guess in zip(labels, predictions, strict=True) if label is not None]
    return [Scatter(pairs[:: -(-len(pairs) // MOST_POINTS)])] if pairs else []
