"""Rows of images or sound, decoded when a batch asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exp.data.examples import Examples
from exp.data.features import EncodedRows, FeatureSet, Fields, Ragged
from exp.data.media import Media
from exp.task.media_transforms import Transform


class MediaFeatures(FeatureSet):
    """Rows that are decoded when they are asked for.

    What is drawn for a row depends on the seed, the epoch and the row alone: a run that goes on draws the same. Before
    the first epoch, and so in every evaluation, nothing is drawn.
    """

    def __init__(self, plain: FeatureSet, cells: Sequence[Media], transforms: Sequence[Transform]) -> None:
        super().__init__(plain.fields, plain.targets, plain.kept, plain.example)
        self.cells, self.transforms = cells, transforms
        self.seed: tuple[int, int] | None = None

    def begin_epoch(self, epoch: int, seed: int) -> None:
        self.seed = (seed, epoch)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """`media`, decoded, and `labels`."""
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError(row)
        dice = None if self.seed is None else np.random.default_rng((*self.seed, row))
        item = self.decoded(row, dice)
        if self.targets is not None:
            item["labels"] = self.targets[row]
        return item

    def decoded(self, row: int, dice: np.random.Generator | None) -> dict[str, Any]:
        """`dice` None: nothing is drawn."""
        raise NotImplementedError


def cells_of(split: Examples) -> Sequence[Media]:
    """The only column of a split."""
    (cells,) = split.inputs.values()
    return cells


def measured_rows(rows: int, kept: Fields) -> EncodedRows:
    """What the cache holds of a split: nothing that the model sees, one value a row."""
    return EncodedRows({"row": Ragged(np.ones(rows, np.int8), np.arange(rows + 1, dtype=np.int64))}, kept)
