"""What a task's loss is made of, unit by unit: the logits and the label of each row, token or window.

A loss of conf/loss/ is a function of these; it knows no task. A task names its own in `Head.terms`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from exp.data.collate import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

# class: one of several; binary: any of several; score: a number.
Kind = Literal["class", "binary", "score"]


@dataclass(frozen=True)
class Term:
    """A batch's units; the model's own loss is the mean of the terms' means."""

    kind: Kind
    logits: Tensor  # class, binary: [units, classes]; score: [units]
    labels: Tensor  # class: [units], int64; binary: [units, classes] of 0 and 1; score: [units]
    real: Tensor | None = None  # [units, classes]; False where a class is padding. None: all are real


@dataclass(frozen=True)
class Terms:
    """`of(batch, output)`: the terms of a labelled batch, from the model's output.

    `blank(batch, classes)`: logits of a model to which all classes are alike; None: the task knows no loss of guessing.
    """

    kind: Kind
    of: Callable[[Mapping[str, Tensor], Any], list[Term]]
    blank: Callable[[Mapping[str, Tensor], int], Tensor] | None = None


def _classes(batch: Mapping[str, Tensor], output: Any) -> list[Term]:
    return [Term("class", output.logits.float(), batch["labels"])]


def _several(batch: Mapping[str, Tensor], output: Any) -> list[Term]:
    return [Term("binary", output.logits.float(), batch["labels"].float())]


def _scores(batch: Mapping[str, Tensor], output: Any) -> list[Term]:
    return [Term("score", output.logits.float().squeeze(-1), batch["labels"].float())]


def _tokens(batch: Mapping[str, Tensor], output: Any) -> list[Term]:
    counted = batch["labels"] != IGNORED
    return [Term("class", output.logits[counted].float(), batch["labels"][counted])]


def _next_tokens(batch: Mapping[str, Tensor], output: Any) -> list[Term]:
    labels = batch["labels"][:, 1:]
    counted = labels != IGNORED
    return [Term("class", output.logits[:, :-1][counted].float(), labels[counted])]


def _alike(batch: Mapping[str, Tensor], classes: int) -> Tensor:
    labels = batch["labels"]
    return labels.new_zeros((*labels.shape, classes)).float()


def _undecided(batch: Mapping[str, Tensor], classes: int) -> Tensor:
    return batch["labels"].new_zeros(batch["labels"].shape).float()


ROWS = Terms("class", _classes, _alike)  # one class a row
SEVERAL = Terms("binary", _several, _undecided)  # any number of classes a row
SCORES = Terms("score", _scores)  # a number a row
TOKENS = Terms("class", _tokens, _alike)  # labelled tokens
NEXT_TOKENS = Terms("class", _next_tokens)  # logits at one place are for the token at the next
