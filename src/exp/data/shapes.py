"""Embedded data of images: generated pictures of one shape each, of any colour, size and place.

A circle, a cross, a diamond, a ring, a square or a triangle on a plain ground. Colours are drawn, so that no share of
colours tells the class: a model has to see edges and how they stand to each other.

A fixed number of labels in every split is another class. Nobody can be right about those, so the best accuracy is
1 - `label_noise`, and a good run ends there. Images are uncompressed (PPM): the same bytes on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Lt

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.noise import with_wrong_labels
from exp.data.rows import Rows

NAMES = ("circle", "cross", "diamond", "ring", "square", "triangle")
EDGE = 32  # pixels
_RADII = (7, 8, 9, 10, 11)  # of the circle that the shape fills
_CONTRAST = 90  # least distance of two colours in one of their three parts, of 255


@dataclass(frozen=True)
class Shapes(Generated):
    """The classes come in turns. Exactly round(size * label_noise) labels of each split are wrong."""

    name = "shapes"

    label_noise: Annotated[float, Ge(0), Lt(0.5)]

    def columns(self) -> list[str]:
        return ["image", "label"]

    @property
    def roles(self) -> dict[str, Any]:
        return {
            "image_column": "image",
            "label_column": "label",
            "label_names": NAMES,
            "metrics": ["accuracy", "top_5_accuracy"],  # the classes are balanced
            "train_transforms": ["RandomHorizontalFlip"],  # every shape is its own mirror image
        }

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        train, evaluation, test = (self._split(dice, size) for size in self.sizes)
        return train, evaluation, test

    def _split(self, dice: Dice, size: int) -> Rows:
        classes = [row % len(NAMES) for row in range(size)]
        images = [picture(dice, kind) for kind in classes]
        labels = [NAMES[kind] for kind in with_wrong_labels(dice, classes, len(NAMES), self.label_noise)]
        return Rows(Path("shapes"), {"image": images, "label": labels}, list(range(1, size + 1)))


def picture(dice: Dice, kind: int) -> bytes:
    """One image as the bytes of a PPM file."""
    import numpy as np

    radius = dice.pick(_RADII)
    places = range(radius, EDGE - radius)
    x, y = np.arange(EDGE) - dice.pick(places), (np.arange(EDGE) - dice.pick(places))[:, None]
    inside = (
        lambda: x * x + y * y <= radius * radius,
        lambda: (abs(x) + 0 * y <= radius) & (abs(y) + 0 * x <= radius) & ((3 * abs(x) <= radius) | (3 * abs(y) <= radius)),
        lambda: abs(x) + abs(y) <= radius,
        lambda: (x * x + y * y <= radius * radius) & (4 * (x * x + y * y) >= radius * radius),
        lambda: (5 * abs(x) <= 4 * radius) & (5 * abs(y) <= 4 * radius),
        lambda: (y <= radius) & (2 * abs(x) <= y + radius),
    )[kind]()
    ground = _colour(dice)
    colour = _colour(dice)
    while max(abs(a - b) for a, b in zip(ground, colour, strict=True)) < _CONTRAST:
        colour = _colour(dice)
    pixels = np.where(inside[..., None], np.array(colour, np.uint8), np.array(ground, np.uint8))
    return f"P6 {EDGE} {EDGE} 255\n".encode() + pixels.tobytes()


def _colour(dice: Dice) -> tuple[int, int, int]:
    return dice.pick(range(256)), dice.pick(range(256)), dice.pick(range(256))
