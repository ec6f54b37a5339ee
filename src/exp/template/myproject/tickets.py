"""Data: a class with the YAML's keys, and `read`, which gives named splits of rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge

from exp.data.base import RawData, Sampled
from exp.data.dice import Dice
from exp.data.rows import Rows

QUEUES = {
    "billing": ("the invoice", "my refund", "the payment", "a double charge", "the discount", "my card"),
    "account": ("my password", "the login", "my profile", "the second factor", "my address", "the settings"),
    "delivery": ("the parcel", "my order", "the courier", "a broken box", "the tracking", "my return"),
}
OPENINGS = ("hello ,", "please help :", "hi ,", "again :", "urgent ,", "dear team ,", "once more ,", "good morning ,")
ENDS = ("is wrong", "does not work", "was lost", "needs a change", "puzzles me", "is still open", "looks odd")


@dataclass(frozen=True)
class Tickets(Sampled):
    """Some messages mention a second thing, and the last one counts. No message occurs twice."""

    train_size: Annotated[int, Ge(1)]
    eval_size: Annotated[int, Ge(1)]

    def columns(self) -> list[str]:
        return ["text", "queue"]

    @property
    def roles(self) -> dict[str, Any]:
        """What the source says of its columns, in the words of the task's keys."""
        return {"label_column": "queue", "label_names": list(QUEUES), "max_length": 32}

    def read(self) -> RawData:
        dice, seen = Dice(7), set[str]()
        train, evaluation = (_rows(dice, seen, size) for size in (self.train_size, self.eval_size))
        return RawData(
            name="tickets",
            train=train,
            evals={"": evaluation},
            tests={},
            roles=self.roles,
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )


def _rows(dice: Dice, seen: set[str], size: int) -> Rows:
    names = list(QUEUES)
    texts: list[str] = []
    labels: list[str] = []
    while len(texts) < size:
        queue, other = dice.pick(names), dice.pick(names)
        not_this = f"it is not {dice.pick(QUEUES[other])} , " if dice.chance(0.3) else ""
        text = f"{dice.pick(OPENINGS)} {not_this}{dice.pick(QUEUES[queue])} {dice.pick(ENDS)}"
        if text not in seen:
            seen.add(text)
            texts.append(text)
            labels.append(other if dice.chance(0.05) else queue)  # some lie in the wrong queue, as in real data
    return Rows(Path("tickets"), {"text": texts, "queue": labels}, list(range(1, size + 1)))
