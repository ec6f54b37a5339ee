"""Generated images or sounds of classes that come in turns, some with a wrong label."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge, Lt

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.noise import with_wrong_labels
from exp.data.rows import Rows


@dataclass(frozen=True)
class Balanced(Generated):
    """Exactly round(size * label_noise) labels of each split are wrong, so the best accuracy is 1 - label_noise."""

    classes: ClassVar[tuple[str, ...]]
    column: ClassVar[str]  # of the images or sounds

    label_noise: Annotated[float, Ge(0), Lt(0.5)]

    @abstractmethod
    def one(self, dice: Dice, kind: int) -> bytes:
        """A file of the class with the index `kind`."""

    def columns(self) -> list[str]:
        return [self.column, "label"]

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        train, evaluation, test = (self._split(dice, size) for size in self.sizes)
        return train, evaluation, test

    def _split(self, dice: Dice, size: int) -> Rows:
        kinds = [row % len(self.classes) for row in range(size)]
        files = [self.one(dice, kind) for kind in kinds]
        labels = [self.classes[kind] for kind in with_wrong_labels(dice, kinds, len(self.classes), self.label_noise)]
        return Rows(Path(self.name), {self.column: files, "label": labels}, list(range(1, size + 1)))
