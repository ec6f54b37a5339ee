"""The embedded default: generated one-sentence restaurant reviews, where word order decides the label.

A review has one clause ("the soup was hardly bad") or two that contradict each other ("although the soup was
dull, the staff was nice"). Its label is the opinion of its main clause. A negated adjective says the
opposite, and the conceding clause stands first or last. So counting words tells next to nothing, and a model
has to read what is said of the thing that counts.

A fixed number of labels in every split is flipped. Nobody can be right about those, so the best accuracy
that can be reached is exactly 1 - `label_noise`, and a good run ends there.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from exp.data.splits import Split, assemble, check_options
from exp.errors import ExpError

if TYPE_CHECKING:
    from exp.data.base import RawData

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
_MOST = 200_000  # rows in all, well below the number of different reviews


def check(
    train_size: int,
    eval_size: int,
    test_size: int,
    label_noise: float,
    generator_seed: int,
    metrics: list[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
) -> None:
    """Raise ExpError for options that cannot work."""
    check_options(
        text_columns=1,
        regression=False,
        metrics=metrics,
        max_length=max_length,
        max_train_samples=max_train_samples,
        max_eval_samples=max_eval_samples,
        both_orders=False,
    )
    for key, value in {"train_size": train_size, "eval_size": eval_size, "test_size": test_size}.items():
        if value < 1:
            raise ExpError(f"data.{key}={value}: give 1 or more")
    if train_size + eval_size + test_size > _MOST:
        raise ExpError(f"data.train_size={train_size}: the three sizes together can be at most {_MOST:,}")
    if not 0 <= label_noise < 0.5:
        raise ExpError(f"data.label_noise={label_noise}: give 0 or more and less than 0.5")


def reviews(
    train_size: int,
    eval_size: int,
    test_size: int,
    label_noise: float,
    generator_seed: int,
    metrics: list[str],
    max_length: int,
    max_train_samples: int | None,
    max_eval_samples: int | None,
) -> RawData:
    """The same sentences and labels on every machine; no sentence occurs twice, within or across splits.
    Exactly round(size * label_noise) labels of each split are flipped. Raises ExpError for bad options."""
    check(**dict(locals()))
    dice = _Dice(generator_seed)
    rows = iter(_rows(dice, train_size + eval_size + test_size))
    train, evaluation, test = (
        _split(dice, [next(rows) for _ in range(size)], label_noise) for size in (train_size, eval_size, test_size)
    )
    return assemble(
        name="reviews",
        train=train,
        evals={"": evaluation},
        tests={"": test},
        text_columns=("sentence",),
        label_names=LABEL_NAMES,
        metrics=metrics,
        max_length=max_length,
        max_train_samples=max_train_samples,
        max_eval_samples=max_eval_samples,
        both_orders=False,
    )


class _Dice:
    """Only `Random.random`, whose sequence for a seed Python promises never to change."""

    def __init__(self, seed: int) -> None:
        self._next = random.Random(seed).random

    def pick(self, choices: tuple[str, ...]) -> str:
        return choices[int(self._next() * len(choices))]

    def chance(self, probability: float) -> bool:
        return self._next() < probability

    def shuffled(self, count: int) -> list[int]:
        ranks = [self._next() for _ in range(count)]
        return sorted(range(count), key=ranks.__getitem__)


def _rows(dice: _Dice, count: int) -> list[tuple[str, int]]:
    """Different sentences, negative and positive by turns. Shuffled, because short sentences run out and so
    come less often later on; evaluation has to be drawn from the same mixture as training."""
    seen: dict[str, int] = {}
    while len(seen) < count + count % 2:
        opinion = len(seen) % 2
        seen.setdefault(_review(dice, opinion), opinion)
    rows = list(seen.items())
    turns = dice.shuffled(len(rows) // 2)
    return [rows[2 * turn + opinion] for turn in turns for opinion in (0, 1)][:count]


def _split(dice: _Dice, rows: list[tuple[str, int]], label_noise: float) -> Split:
    labels = [opinion for _, opinion in rows]
    for row in dice.shuffled(len(rows))[: round(len(rows) * label_noise)]:
        labels[row] = 1 - labels[row]
    return Split(([sentence for sentence, _ in rows],), labels, list(range(len(rows))))


def _review(dice: _Dice, opinion: int) -> str:
    thing = other = dice.pick(_THINGS)
    main = _clause(dice, thing, opinion)
    if dice.chance(_SINGLE):
        return main
    while other == thing:
        other = dice.pick(_THINGS)
    return dice.pick(_CONTRASTS).format(main=main, minor=_clause(dice, other, 1 - opinion))


def _clause(dice: _Dice, thing: str, opinion: int) -> str:
    negated = dice.chance(_NEGATED)
    words = [dice.pick(_NEGATIONS)] if negated else []
    return " ".join(["the", thing, dice.pick(_VERBS), *words, dice.pick(_ADJECTIVES[opinion ^ negated])])
