"""The embedded default: generated one-sentence restaurant reviews, where word order decides the label.

A review has one clause ("the soup was hardly bad") or two that contradict each other ("although the soup was
dull, the staff was nice"). Its label is the opinion of its main clause. A negated adjective says the
opposite, and the conceding clause stands first or last. So counting words tells next to nothing, and a model
has to read what is said of the thing that counts.

A fixed number of labels in every split is flipped. Nobody can be right about those, so the best accuracy
that can be reached is exactly 1 - `label_noise`, and a good run ends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Lt

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.rows import Rows

LABEL_NAMES = ("negative", "positive")
_THINGS = (
    *("soup", "bread", "salad", "fish", "curry", "dessert", "coffee", "wine", "sauce", "rice"),
    *("staff", "waiter", "chef", "manager", "room", "terrace", "music", "menu", "service", "table"),
)
_VERBS = ("was", "seemed", "felt", "looked")
_NEGATIONS = ("not", "hardly", "never")
_ADJECTIVES = (  # by what they say
    ("bad", "awful", "poor", "dull", "sad", "terrible"),
    ("good", "great", "fine", "lovely", "nice", "superb"),
)
_CONTRASTS = ("although {minor}, {main}", "{main}, although {minor}", "{minor}, but {main}")
_SINGLE = 0.4  # share of reviews with one clause; from these alone the negations can be learned
_NEGATED = 0.3  # share of clauses; 0.5 would hide even more from a count of words, and learning takes longer


@dataclass(frozen=True)
class Reviews(Generated):
    """The same sentences and labels on every machine; no sentence occurs twice, within or across splits.

    Exactly round(size * label_noise) labels of each split are flipped.
    """

    name = "reviews"

    label_noise: Annotated[float, Ge(0), Lt(0.5)]

    def columns(self) -> list[str]:
        return ["sentence", "label"]

    @property
    def roles(self) -> dict[str, Any]:
        return {
            "text_columns": ["sentence"],
            "label_column": "label",
            "label_names": LABEL_NAMES,
            "metrics": ["accuracy"],  # the classes are balanced
            "max_length": 32,  # tokens; the longest review has 14 with the special ones
        }

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        rows = iter(_rows(dice, sum(self.sizes)))
        train, evaluation, test = (
            _split(dice, [next(rows) for _ in range(size)], self.label_noise) for size in self.sizes
        )
        return train, evaluation, test


def _rows(dice: Dice, count: int) -> list[tuple[str, int]]:
    """Different sentences, negative and positive by turns. Shuffled, because short sentences run out and so
    come less often later on; evaluation has to be drawn from the same mixture as training."""
    seen: dict[str, int] = {}
    while len(seen) < count + count % 2:
        opinion = len(seen) % 2
        seen.setdefault(_review(dice, opinion), opinion)
    rows = list(seen.items())
    turns = dice.shuffled(len(rows) // 2)
    return [rows[2 * turn + opinion] for turn in turns for opinion in (0, 1)][:count]


def _split(dice: Dice, rows: list[tuple[str, int]], label_noise: float) -> Rows:
    labels = [opinion for _, opinion in rows]
    for row in dice.shuffled(len(rows))[: round(len(rows) * label_noise)]:
        labels[row] = 1 - labels[row]
    columns = {"sentence": [sentence for sentence, _ in rows], "label": [LABEL_NAMES[label] for label in labels]}
    return Rows(Path("reviews"), columns, list(range(1, len(rows) + 1)))


def _review(dice: Dice, opinion: int) -> str:
    thing = other = dice.pick(_THINGS)
    main = _clause(dice, thing, opinion)
    if dice.chance(_SINGLE):
        return main
    while other == thing:
        other = dice.pick(_THINGS)
    return dice.pick(_CONTRASTS).format(main=main, minor=_clause(dice, other, 1 - opinion))


def _clause(dice: Dice, thing: str, opinion: int) -> str:
    negated = dice.chance(_NEGATED)
    words = [dice.pick(_NEGATIONS)] if negated else []
    return " ".join(["the", thing, dice.pick(_VERBS), *words, dice.pick(_ADJECTIVES[opinion ^ negated])])
