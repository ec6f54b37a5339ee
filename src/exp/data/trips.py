"""Embedded data of question answering: generated sentences of who went where, when and with what.

"anna went not to rome but to paris with a red lamp ." / "where did anna go ?" (paris) / "when did anna leave ?" (no
answer: the day is not told). A question asks of a town, a day or a thing in one of two ways, every phrase may be
missing, and what stands after "not" is wrong. So the kind of a word is not enough, and its neighbours have to be read.

A fixed number of answers in every split is another phrase of the sentence, or none. Nobody can be right about those, so
the best exact match and F1 are 1 - `label_noise`, and a good run ends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Lt

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.rows import Rows

_PEOPLE = ("anna", "bob", "carl", "dora", "emil", "fay", "gus", "hana", "ivan", "jane", "kurt", "lena")
_TOWNS = ("paris", "rome", "oslo", "cairo", "lima", "tokyo", "delhi", "accra", "bonn", "perth")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LOOKS = ("red", "blue", "green", "new", "big", "tiny")
_THINGS = ("lamp", "drum", "kite", "rope", "coat", "vase", "clock", "chair", "piano", "globe")
_PREPOSITIONS = {"town": "to", "day": "on", "thing": "with a"}
_QUESTIONS = {
    "town": ("where did {} go ?", "to which town did {} go ?"),
    "day": ("when did {} leave ?", "on which day did {} leave ?"),
    "thing": ("what did {} take ?", "with what did {} go ?"),
}
_TOLD = 0.8  # probability of a phrase; a fifth of the questions has no answer
_DENIED = 0.2  # share of phrases that say first what is wrong


@dataclass(frozen=True)
class Trips(Generated):
    """The same rows on every machine; no sentence occurs twice, within or across splits.

    Exactly round(size * label_noise) answers of each split are wrong.
    """

    name = "trips"

    label_noise: Annotated[float, Ge(0), Lt(0.5)]

    def columns(self) -> list[str]:
        return ["question", "context", "answers"]

    @property
    def roles(self) -> dict[str, Any]:
        # tokens; the longest question and sentence have 38 with the special ones
        return {"metrics": ["f1", "exact_match", "HasAns_f1", "HasAns_exact", "NoAns_f1"], "max_length": 48}

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        seen: set[str] = set()
        train, evaluation, test = (_split(dice, seen, size, self.label_noise) for size in self.sizes)
        return train, evaluation, test


def _split(dice: Dice, seen: set[str], size: int, label_noise: float) -> Rows:
    rows: list[tuple[str, str, str, dict[str, tuple[str, int]]]] = []
    while len(rows) < size:
        row = _row(dice)
        if row[1] not in seen:
            seen.add(row[1])
            rows.append(row)
    wrong = set(dice.shuffled(size)[: round(size * label_noise)])
    columns: dict[str, list[Any]] = {"question": [], "context": [], "answers": []}
    for number, (question, context, asked, phrases) in enumerate(rows):
        answer = phrases.get(asked)
        if number in wrong:
            others = [phrase for kind, phrase in phrases.items() if kind != asked]
            answer = others[int(dice.chance(0.5)) % len(others)] if others else None
        columns["question"].append(question)
        columns["context"].append(context)
        found = [] if answer is None else [answer]
        columns["answers"].append({"text": [text for text, _ in found], "answer_start": [at for _, at in found]})
    return Rows(Path("trips"), columns, list(range(1, size + 1)))


def _row(dice: Dice) -> tuple[str, str, str, dict[str, tuple[str, int]]]:
    """Question, context, what is asked of, and each phrase's answer with its place."""
    who = dice.pick(_PEOPLE)
    kinds = tuple(_PREPOSITIONS)
    told = [kinds[turn] for turn in dice.shuffled(len(kinds)) if dice.chance(_TOLD)] or [dice.pick(kinds)]
    context, phrases = f"{who} went", {}
    for kind in told:
        before, right = _PREPOSITIONS[kind], _answer(dice, kind)
        if dice.chance(_DENIED):
            wrong = _answer(dice, kind)
            while set(wrong.split()) & set(right.split()):
                wrong = _answer(dice, kind)
            context += f" not {before} {wrong} but"
        context += f" {before} "
        phrases[kind] = (right, len(context))
        context += right
    asked = dice.pick(kinds)
    return dice.pick(_QUESTIONS[asked]).format(who), f"{context} .", asked, phrases


def _answer(dice: Dice, kind: str) -> str:
    if kind == "thing":
        return f"{dice.pick(_LOOKS)} {dice.pick(_THINGS)}"
    return dice.pick(_TOWNS if kind == "town" else _DAYS)
