"""The embedded default of translation: English sentences of a small grammar, and the same in an invented language.

The invented language has another order (the verb comes last, an adjective behind its noun), plurals by an ending, and
three genders that articles and adjectives follow. So a word cannot be put for a word: `the old dog sees two red boats`
is `lo kano vetu du barkis rudu vidas`. Every sentence has exactly one translation: a model that has learnt the rules
gets a BLEU of 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.rows import Rows

# English noun -> stem, gender
_NOUNS = {
    **{"dog": ("kano", 0), "horse": ("caval", 0), "king": ("rego", 0), "boat": ("barki", 0), "tree": ("arbo", 0)},
    **{"cat": ("gata", 1), "queen": ("regina", 1), "house": ("doma", 1), "river": ("fluma", 1), "bird": ("orna", 1)},
    **{"child": ("infe", 2), "book": ("libe", 2), "fire": ("fajre", 2), "city": ("urbe", 2), "bread": ("pane", 2)},
}
_ARTICLES = {"the": ("lo", "la", "le"), "a": ("un", "una", "une")}  # by gender
_NUMBERS = {"two": "du", "three": "tri"}
_ADJECTIVES = {"old": "vet", "red": "rud", "small": "pet", "big": "grand", "quiet": "silent", "new": "nov"}
_GENDERS = ("u", "a", "e")  # endings of adjectives
_VERBS = {"sees": "vidas", "likes": "amas", "follows": "sekas", "finds": "trovas", "paints": "pintas", "hears": "audas"}
_PLACES = {"near": "apud", "behind": "post", "under": "sub"}
_ADJECTIVE, _PLACE = 0.5, 0.4  # shares of nouns with one, of sentences with one


@dataclass(frozen=True)
class ToyLanguage(Generated):
    """The same pairs on every machine; no sentence occurs twice, within or across splits."""

    name = "toy_language"
    most = 100_000  # rows in all, well below the number of different sentences

    @property
    def roles(self) -> dict[str, Any]:
        # The longest sentence has 13 tokens, its end included.
        return {
            "source_column": "english",
            "target_column": "toy",
            "max_source_length": 16,
            "max_target_length": 16,
        }

    def columns(self) -> list[str]:
        return ["english", "toy"]

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        pairs: dict[str, str] = {}
        while len(pairs) < sum(self.sizes):
            english, toy = _sentence(dice)
            pairs.setdefault(english, toy)
        # Short sentences run out and so come less often later on; all splits are drawn from the same mixture.
        rows = list(pairs.items())
        mixed = iter([rows[place] for place in dice.shuffled(len(rows))])
        splits = [[next(mixed) for _ in range(size)] for size in self.sizes]
        train, evaluation, test = (
            Rows(Path("toy_language"), {"english": [a for a, _ in one], "toy": [b for _, b in one]}, _lines(one))
            for one in splits
        )
        return train, evaluation, test


def _lines(rows: list[tuple[str, str]]) -> list[int]:
    return list(range(1, len(rows) + 1))


def _sentence(dice: Dice) -> tuple[str, str]:
    subject, thing = _noun(dice), _noun(dice)
    verb = dice.pick(tuple(_VERBS))
    english, toy = [subject[0], verb, thing[0]], [subject[1]]
    if dice.chance(_PLACE):
        place, where = dice.pick(tuple(_PLACES)), _noun(dice)
        english += [place, where[0]]
        toy += [_PLACES[place], where[1]]
    return " ".join(english), " ".join([*toy, thing[1], _VERBS[verb]])


def _noun(dice: Dice) -> tuple[str, str]:
    """A noun with its article or number, and perhaps an adjective, in both languages."""
    word = dice.pick(tuple(_NOUNS))
    stem, gender = _NOUNS[word]
    first = dice.pick((*_ARTICLES, *_NUMBERS))
    many = first in _NUMBERS
    english, toy = [first], [_NUMBERS[first] if many else _ARTICLES[first][gender], stem + "s" * many]
    if dice.chance(_ADJECTIVE):
        adjective = dice.pick(tuple(_ADJECTIVES))
        english.append(adjective)
        toy.append(_ADJECTIVES[adjective] + _GENDERS[gender])
    plural = {"child": "children", "city": "cities"}.get(word, f"{word}s") if many else word
    return " ".join([*english, plural]), " ".join(toy)
