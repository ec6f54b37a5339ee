"""The embedded text for language models: sentences of a Markov chain over words, whose entropy is known exactly.

Every word has four different successors, all equally likely. So a word costs log 4 nats whoever predicts it, on every
sentence and not only on average: nobody's perplexity a word is below 4, and a good run ends there. A model that counts
words alone stays near the number of words, 33. The full stop is a word; what begins a sentence are its successors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.rows import Rows

SUCCESSORS = 4
STOP = "."
WORDS = (
    *("river", "stone", "forest", "window", "garden", "bridge", "captain", "teacher", "painter", "village"),
    *("finds", "keeps", "carries", "follows", "opens", "watches", "slowly", "never", "again", "together"),
    *("old", "green", "silent", "golden", "narrow", "bright", "under", "beyond", "without", "toward", "after", "near"),
)
_ENDING = 8  # words that may be followed by a full stop: a sentence has some seventeen words


@dataclass(frozen=True)
class MarkovText(Generated):
    """The same sentences on every machine, one a row."""

    name = "markov_text"

    @property
    def roles(self) -> dict[str, Any]:
        return {
            "text_column": "text",
            "between_rows": "line_break",  # certain after a full stop: it costs nothing
            "block_size": 128,
            # A word's perplexity does not depend on the tokenizer, and its floor is known.
            "metrics": ["perplexity_word", "perplexity", "bits_per_byte", "token_accuracy"],
        }

    def columns(self) -> list[str]:
        return ["text"]

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        follows = successors(dice)
        train, evaluation, test = (_rows([_sentence(dice, follows) for _ in range(size)]) for size in self.sizes)
        return train, evaluation, test


def successors(dice: Dice) -> dict[str, list[str]]:
    """Four for every word. Every word follows others, or the text would never reach it: along one shuffled ring."""
    ring = [WORDS[number] for number in dice.shuffled(len(WORDS))]
    ending = {ring[number] for number in dice.shuffled(len(ring))[:_ENDING]}
    found = {}
    for place, word in enumerate([*ring, STOP]):
        chosen = [ring[(place + 1) % len(ring)], *([STOP] if word in ending else [])]
        while len(chosen) < SUCCESSORS:
            other = dice.pick(WORDS)
            if other not in chosen and other != word:
                chosen.append(other)
        found[word] = chosen
    return found


def _sentence(dice: Dice, follows: dict[str, list[str]]) -> str:
    words = [dice.pick(follows[STOP])]
    while words[-1] != STOP:
        words.append(dice.pick(follows[words[-1]]))
    return " ".join(words)


def _rows(sentences: list[str]) -> Rows:
    return Rows(Path("markov_text"), {"text": sentences}, list(range(1, len(sentences) + 1)))
