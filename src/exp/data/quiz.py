"""The embedded chats for instruction tuning: short questions about things, several a chat, each with one right answer.

A chat asks for one thing's colour, size or place, and may go on with "and its size?". What "its" means stands in an
earlier turn. Every answer follows from the question and a fixed table, so that nobody's perplexity has to be above 1.
Evaluation asks in words that training has, about pairs of thing and order that it has not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.data.dice import Dice
from exp.data.generated import Generated
from exp.data.rows import Rows

_THINGS = (
    *("ball", "lamp", "chair", "book", "cup", "kite", "boat", "hat", "drum", "bell", "shoe", "clock", "vase", "coat"),
    *("spoon", "brush", "flag", "rope", "box", "key"),
)
_VALUES = {
    "colour": ("red", "green", "blue", "white", "black"),
    "size": ("tiny", "small", "large", "huge"),
    "place": ("kitchen", "garden", "attic", "hall"),
}
_FIRST = {
    "colour": (
        "What colour is the {thing}?",
        "Tell me the colour of the {thing}.",
        "Which colour has the {thing}?",
        "The {thing}: what is its colour?",
    ),
    "size": (
        "How big is the {thing}?",
        "Tell me the size of the {thing}.",
        "Which size has the {thing}?",
        "The {thing}: what is its size?",
    ),
    "place": (
        "Where is the {thing}?",
        "Tell me where the {thing} is.",
        "Where can I find the {thing}?",
        "The {thing}: where is it?",
    ),
}
_NEXT = {
    "colour": ("And its colour?", "What about its colour?"),
    "size": ("And its size?", "What about its size?"),
    "place": ("And where is it?", "What about its place?"),
}
_ANSWER = {"colour": "The {thing} is {value}.", "size": "The {thing} is {value}.", "place": "It is in the {value}."}
_SYSTEM = "You know the things of this house."
_TURNS = (0.35, 0.75)  # chance of one turn, of two or fewer; else three


@dataclass(frozen=True)
class Quiz(Generated):
    """The same chats on every machine; none occurs twice, within or across splits."""

    name = "quiz"
    most = 2000  # chats in all: there are 6,240 different ones, and 480 of one turn

    @property
    def roles(self) -> dict[str, Any]:
        return {"messages_column": "messages", "block_size": 128}

    def columns(self) -> list[str]:
        return ["messages"]

    def draw(self) -> tuple[Rows, Rows, Rows]:
        dice = Dice(self.generator_seed)
        table = {(thing, kind): dice.pick(values) for thing in _THINGS for kind, values in _VALUES.items()}
        seen: dict[str, list[dict[str, str]]] = {}
        while len(seen) < sum(self.sizes):
            chat = _chat(dice, table)
            seen.setdefault(str(chat), chat)
        # Short chats run out and come less often later on; every split is drawn from the same mixture.
        chats = list(seen.values())
        chats = [chats[row] for row in dice.shuffled(len(chats))]
        train, evaluation, test = (_rows([chats.pop() for _ in range(size)]) for size in self.sizes)
        return train, evaluation, test


def _chat(dice: Dice, table: dict[tuple[str, str], str]) -> list[dict[str, str]]:
    thing, kinds = dice.pick(_THINGS), list(_VALUES)
    kinds = [kinds[number] for number in dice.shuffled(len(kinds))]
    turns = 1 if dice.chance(_TURNS[0]) else 2 if dice.chance(_TURNS[1]) else 3
    chat = [{"role": "system", "content": _SYSTEM}] if dice.chance(0.5) else []
    for turn, kind in enumerate(kinds[:turns]):
        question = dice.pick(_FIRST[kind]).format(thing=thing) if turn == 0 else dice.pick(_NEXT[kind])
        chat.append({"role": "user", "content": question})
        answer = _ANSWER[kind].format(thing=thing, value=table[thing, kind])
        chat.append({"role": "assistant", "content": answer})
    return chat


def _rows(chats: list[list[dict[str, str]]]) -> Rows:
    return Rows(Path("quiz"), {"messages": chats}, list(range(1, len(chats) + 1)))
