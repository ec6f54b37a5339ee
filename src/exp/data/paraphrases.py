"""Embedded data of sentence embeddings: generated sentences that say the same in other words.

"anna buys a car in the town" / "at a city some auto is acquired by anna": who, what is done, the thing and the place
are said again, the last three by words that the first sentence never has. A negative differs in one of the four, so the
vectors must hold all of them. Evaluation asks for sentences that training has not seen, made of words that it has.

A fixed number of rows in every split have the partner of another row. Nobody can find those, so the best recall at 1 is
1 - `label_noise`, and a good run ends there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Lt

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.rows import Rows

_WHO = ("anna", "dora", "fay", "hana", "jane", "lena", "mary", "nora")
# The word of the first sentence, and that of the second.
_DONE = (
    ("buys", "acquired"),
    ("mends", "repaired"),
    ("paints", "coloured"),
    ("hides", "concealed"),
    ("sells", "traded"),
)
_THING = (
    *(("car", "auto"), ("bike", "cycle"), ("coat", "jacket"), ("cup", "mug"), ("couch", "sofa"), ("rug", "carpet")),
    *(("lamp", "light"), ("rock", "stone")),
)
_PLACE = (("town", "city"), ("shop", "store"), ("woods", "forest"), ("yard", "garden"), ("harbour", "port"))
_PARTS = (len(_WHO), len(_DONE), len(_THING), len(_PLACE))

Meaning = tuple[int, ...]  # indices of who, done, thing, place


@dataclass(frozen=True)
class Paraphrases(Generated):
    """No meaning is the anchor of two rows, within or across splits."""

    name = "paraphrases"
    most = 1500  # there are 1,600 different sentences

    form: Literal["pairs", "triplets", "scores"]
    label_noise: Annotated[float, Ge(0), Lt(0.5)]

    def columns(self) -> list[str]:
        roles = self.roles
        return [*roles["text_columns"], *([roles["score_column"]] if "score_column" in roles else [])]

    @property
    def roles(self) -> dict[str, Any]:
        length = {"max_length": 16}  # tokens; the longest sentence has 11 with the special ones
        if self.form == "scores":
            columns = {"text_columns": ["sentence1", "sentence2"], "score_column": "score", "score_range": [0, 4]}
            return {**columns, **length}
        return {"text_columns": ["anchor", "positive", "negative"][: 3 if self.form == "triplets" else 2], **length}

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        meanings = [_meaning(number) for number in dice.shuffled(math.prod(_PARTS))]
        train, evaluation, test = (self._split(dice, [meanings.pop() for _ in range(size)]) for size in self.sizes)
        return train, evaluation, test

    def _split(self, dice: Dice, meanings: list[Meaning]) -> Rows:
        count = len(meanings)
        changes = [dice.shuffled(len(_PARTS)) for _ in meanings]
        wrong = dice.shuffled(count)[: round(count * self.label_noise)]
        if self.form == "scores":
            kept = [rank % (len(_PARTS) + 1) for rank in dice.shuffled(count)]  # parts that stay: the score
            others = [
                _changed(dice, one, order[: len(_PARTS) - same])
                for one, order, same in zip(meanings, changes, kept, strict=True)
            ]
            columns: dict[str, list[Any]] = {
                "sentence1": [_first(one) for one in meanings],
                "sentence2": [_second(one) for one in others],
                "score": kept,
            }
            partners = "score"
        else:
            columns = {"anchor": [_first(one) for one in meanings], "positive": [_second(one) for one in meanings]}
            partners = "positive"
            if self.form == "triplets":
                pairs = zip(meanings, changes, strict=True)
                columns["negative"] = [_second(_changed(dice, one, order[:1])) for one, order in pairs]
        cells = columns[partners]
        moved = [cells[row] for row in [*wrong[1:], *wrong[:1]]]  # each of the wrong rows gets the next one's
        for row, cell in zip(wrong, moved, strict=True):
            cells[row] = cell
        return Rows(Path("paraphrases"), columns, list(range(1, count + 1)))


def _meaning(number: int) -> Meaning:
    found = []
    for size in _PARTS:
        number, part = divmod(number, size)
        found.append(part)
    return tuple(found)


def _changed(dice: Dice, meaning: Meaning, parts: list[int]) -> Meaning:
    """With another value of each of `parts`."""
    found = list(meaning)
    for part in parts:
        found[part] = dice.pick([value for value in range(_PARTS[part]) if value != meaning[part]])
    return tuple(found)


def _first(meaning: Meaning) -> str:
    who, done, thing, place = meaning
    return f"{_WHO[who]} {_DONE[done][0]} a {_THING[thing][0]} in the {_PLACE[place][0]}"


def _second(meaning: Meaning) -> str:
    who, done, thing, place = meaning
    return f"at a {_PLACE[place][1]} some {_THING[thing][1]} is {_DONE[done][1]} by {_WHO[who]}"
