"""The embedded default of summarization: notes of a few sentences, one of which is marked as what matters.

The summary is the marked sentence, shortened: `anna paints the old boat . above all , tom sells a red house . ...` is
`tom sells house`. Every other sentence has words of the same kinds, so that counting tells nothing: a model has to find
the mark and to copy what follows it. Every note has exactly one summary: a model that does so gets a ROUGE of 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.rows import Rows

_PEOPLE = ("anna", "tom", "mary", "paul", "lena", "omar", "ines", "karl", "rosa", "ivan", "nora", "hugo")
_VERBS = ("paints", "sells", "finds", "buys", "loses", "mends", "hides", "wants")
_THINGS = ("boat", "house", "lamp", "horse", "clock", "chair", "book", "coat", "piano", "wagon", "garden", "letter")
_ADJECTIVES = ("old", "red", "small", "heavy", "quiet", "new")
_MARKS = ("above all", "most of all")
_SENTENCES, _ADJECTIVE = (2, 3, 4), 0.5  # of a note; share of things with one


@dataclass(frozen=True)
class ToyNotes(Generated):
    """The same notes on every machine; none occurs twice, within or across splits."""

    name = "toy_notes"
    most = 100_000  # rows in all, far below the number of different notes

    @property
    def roles(self) -> dict[str, Any]:
        # The longest note has 31 tokens, its end included.
        return {
            "source_column": "note",
            "target_column": "summary",
            "metrics": ["rouge1", "rouge2", "rougeL"],
            "max_source_length": 40,
            "max_target_length": 8,
        }

    def columns(self) -> list[str]:
        return ["note", "summary"]

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        notes: dict[str, str] = {}
        while len(notes) < sum(self.sizes):
            note, summary = _note(dice)
            notes.setdefault(note, summary)
        rows = iter(notes.items())
        train, evaluation, test = (_rows([next(rows) for _ in range(size)]) for size in self.sizes)
        return train, evaluation, test


def _rows(pairs: list[tuple[str, str]]) -> Rows:
    columns = {"note": [note for note, _ in pairs], "summary": [summary for _, summary in pairs]}
    return Rows(Path("toy_notes"), columns, list(range(1, len(pairs) + 1)))


def _note(dice: Dice) -> tuple[str, str]:
    count = dice.pick(_SENTENCES)
    marked = dice.shuffled(count)[0]
    sentences, summary = [], ""
    for place in range(count):
        person, verb, thing = dice.pick(_PEOPLE), dice.pick(_VERBS), dice.pick(_THINGS)
        adjective = f"{dice.pick(_ADJECTIVES)} " if dice.chance(_ADJECTIVE) else ""
        sentence = f"{person} {verb} {dice.pick(('a', 'the'))} {adjective}{thing} ."
        if place == marked:
            sentence, summary = f"{dice.pick(_MARKS)} , {sentence}", f"{person} {verb} {thing}"
        sentences.append(sentence)
    return " ".join(sentences), summary
