"""What is drawn anew of an image or a recording each time that training sees it: named in the config, with arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from exp.data.examples import Examples
from exp.data.features import FeatureSet
from exp.data.media import Media
from exp.errors import ExpError, nearest
from exp.options.option import construct

Given = Sequence[str | Mapping[str, Any]]


class Transform(Protocol):
    """A frozen dataclass; its fields are the arguments."""

    def __call__(self, what: Any, dice: np.random.Generator) -> Any: ...


def transforms_of(given: Given, known: Mapping[str, type]) -> list[Transform]:
    """From names, or names with arguments: `[RandomHorizontalFlip, {RandomRotation: {degrees: 10}}]`.

    Raises ExpError for an unknown name or argument, and for a value that does not fit.
    """
    found: list[Transform] = []
    for one in given:
        name, arguments = (one, {}) if isinstance(one, str) else next(iter(one.items()), ("", {}))
        if not isinstance(one, str) and (len(one) != 1 or not isinstance(arguments or {}, Mapping)):
            raise ExpError(
                f"task.train_transforms: {dict(one)} is no transform; write a name, or {{name: {{argument: value}}}}"
            )
        if name not in known:
            raise ExpError(f"task.train_transforms: there is no transform {name!r}{nearest(name, known)}")
        found.append(construct(known[name], arguments or {}, f"task.train_transforms.{name}"))
    return found


def written(transforms: Sequence[Transform]) -> list[dict[str, Any]]:
    """As a config would name them, with every argument."""
    return [{type(one).__name__: dataclasses.asdict(one)} for one in transforms]  # type: ignore[call-overload]


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
