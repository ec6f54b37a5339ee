"""Embedded data of multiple choice: generated wishes, and two to four things of which one fulfils the wish.

"anna would like something sweet ." / "she takes" / "the cake", "the ham", "the chips". Most wishes are of sweet things,
so the kind of a thing tells something; but what nobody wants turns it round ("anything but sweet"), and the wish has to
be read together with the choice.

A fixed number of labels in every split is a wrong choice. Nobody can be right about those, so the best accuracy is
1 - `label_noise`, and a good run ends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Lt

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.rows import Rows

_PEOPLE = ("anna", "dora", "fay", "hana", "jane", "lena", "mary", "nora")
_VERBS = ("wants", "would like", "asks for")
_THINGS = {
    "sweet": ("cake", "honey", "jam", "fudge", "syrup", "candy"),
    "salty": ("chips", "olives", "ham", "bacon", "cheese", "pretzels"),
}
_SWEET = 0.65  # share of rows whose right choice is sweet: without a prevailing taste nothing is learnt for long
_TURNED = 0.35  # share of wishes that say what is not wanted
_FEWEST, _MOST = 2, 4  # choices


@dataclass(frozen=True)
class Tastes(Generated):
    """The same rows on every machine. Exactly round(size * label_noise) labels of each split are wrong."""

    name = "tastes"

    label_noise: Annotated[float, Ge(0), Lt(0.5)]

    def columns(self) -> list[str]:
        return ["context", "question", "choices", "label"]

    @property
    def roles(self) -> dict[str, Any]:
        return {
            "question_column": "question",
            "max_length": 24,  # tokens; the longest wish and choice have 15 with the special ones
        }

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        train, evaluation, test = (_split(dice, size, self.label_noise) for size in self.sizes)
        return train, evaluation, test


def _split(dice: Dice, size: int, label_noise: float) -> Rows:
    rows = [_row(dice) for _ in range(size)]
    labels = [label for _, _, label in rows]
    for row in dice.shuffled(size)[: round(size * label_noise)]:
        labels[row] = (labels[row] + 1) % len(rows[row][1])
    columns: dict[str, list[Any]] = {
        "context": [context for context, _, _ in rows],
        "question": ["she takes"] * size,
        "choices": [choices for _, choices, _ in rows],
        "label": labels,
    }
    return Rows(Path("tastes"), columns, list(range(1, size + 1)))


def _row(dice: Dice) -> tuple[str, list[str], int]:
    """Context, choices, and the index of the right one."""
    right, wrong = ("sweet", "salty") if dice.chance(_SWEET) else ("salty", "sweet")
    wish = f"anything but {wrong}" if dice.chance(_TURNED) else f"something {right}"
    context = f"{dice.pick(_PEOPLE)} {dice.pick(_VERBS)} {wish} ."
    many = int(dice.pick([str(count) for count in range(_FEWEST, _MOST + 1)]))
    others = [_THINGS[wrong][turn] for turn in dice.shuffled(len(_THINGS[wrong]))[: many - 1]]
    choices = [dice.pick(_THINGS[right]), *others]
    order = dice.shuffled(many)
    return context, [f"the {choices[turn]}" for turn in order], order.index(0)
