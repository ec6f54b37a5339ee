"""Embedded data of images: generated textures, which tell their class by the direction in which they repeat.

Bars, checks, columns, dots, falling or rising stripes of two colours. Colours, widths and places are drawn, so that no
share of colours and no single pixel tells the class: a model has to see edges and how they stand to each other.

A fixed number of labels in every split is another class. Nobody can be right about those, so the best accuracy is
1 - `label_noise`, and a good run ends there. Images are uncompressed (PPM): the same bytes on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exp.data.balanced import Balanced
from exp.data.dice import Dice

NAMES = ("bars", "checks", "columns", "dots", "falling", "rising")
EDGE = 32  # pixels
_WIDTHS = (2, 3, 4, 5)  # pixels of one stripe
_CONTRAST = 90  # least distance of the two colours in one of their three parts, of 255


@dataclass(frozen=True)
class Textures(Balanced):
    """See conf/data/textures.yaml for the keys."""

    name = "textures"
    classes = NAMES
    column = "image"

    def one(self, dice: Dice, kind: int) -> bytes:
        return picture(dice, kind)

    @property
    def roles(self) -> dict[str, Any]:
        return {
            "image_column": "image",
            "label_column": "label",
            "label_names": NAMES,
            "metrics": ["accuracy", "top_5_accuracy"],  # the classes are balanced
            # Colours tell nothing. A flip would make a rising stripe a falling one, and a crop a wider one.
            "train_transforms": [{"ColorJitter": {"brightness": 0.4, "contrast": 0.4, "hue": 0.5}}],
        }


def picture(dice: Dice, kind: int) -> bytes:
    """One image as the bytes of a PPM file."""
    import numpy as np

    width = dice.pick(_WIDTHS)
    x, y = np.arange(EDGE) + dice.pick(range(2 * width)), (np.arange(EDGE) + dice.pick(range(2 * width)))[:, None]
    across, down = x // width % 2 + 0 * y, y // width % 2 + 0 * x  # 0 and 1 by turns
    shown = (
        down,
        across ^ down,
        across,
        across & down,
        (x - y) // width % 2,
        (x + y) // width % 2,
    )[kind]
    one, other = _colour(dice), _colour(dice)
    while max(abs(a - b) for a, b in zip(one, other, strict=True)) < _CONTRAST:
        other = _colour(dice)
    pixels = np.array((one, other), np.uint8)[shown]  # [rows, columns, colours]
    return f"P6 {EDGE} {EDGE} 255\n".encode() + pixels.tobytes()


def _colour(dice: Dice) -> tuple[int, int, int]:
    return dice.pick(range(256)), dice.pick(range(256)), dice.pick(range(256))
