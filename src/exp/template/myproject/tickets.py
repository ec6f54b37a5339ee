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
    "billing": ("the invoice", "my refund", "the payment", "a double charge"),
    "account": ("my password", "the login", "my profile", "two factor codes"),
    "delivery": ("the parcel", "my order", "the courier", "a broken box"),
}
OPENINGS = ("hello ,", "please help :", "hi ,", "again :", "urgent ,")
ENDS = ("is wrong", "does not arrive", "was lost", "needs a change", "is a mystery to me")


@dataclass(frozen=True)
class Tickets(Sampled):
    """Some messages mention a second thing, and the last one counts."""

    train_size: Annotated[int, Ge(1)]
    eval_size: Annotated[int, Ge(1)]

    def columns(self) -> list[str]:
        return ["text", "queue"]

    @property
    def roles(self) -> dict[str, Any]:
        """What the source says of its columns, in the words of the task's keys."""
        return {"label_column": "queue", "label_names": list(QUEUES), "max_length": 32}

    def read(self) -> RawData:
        dice = Dice(7)
        train, evaluation = _rows(dice, self.train_size), _rows(dice, self.eval_size)
        return RawData(
            name="tickets",
            train=train,
            evals={"": evaluation},
            tests={},
            roles=self.roles,
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )


def _rows(dice: Dice, size: int) -> Rows:
    names = list(QUEUES)
    texts, labels = [], []
    for _ in range(size):
        queue, other = dice.pick(names), dice.pick(names)
        not_this = f"it is not {dice.pick(QUEUES[other])} , " if dice.chance(0.3) else ""
        texts.append(f"{dice.pick(OPENINGS)} {not_this}{dice.pick(QUEUES[queue])} {dice.pick(ENDS)}")
        labels.append(other if dice.chance(0.05) else queue)  # some lie in the wrong queue already, as in real data
    return Rows(Path("tickets"), {"text": texts, "queue": labels}, list(range(1, size + 1)))
