"""Choices of a row: from cells to texts and the right one, and batches of rows with unequal numbers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exp.data.collate import Collator
from exp.data.rows import Rows, shortened
from exp.errors import ExpError, nearest
from exp.task.forward import surely_all
from exp.task.terms import Term

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Choices:
    """Of one row. `names`: what the label column calls them; numbers from 0 where the row does not say it."""

    texts: list[str]
    names: list[str]


def choices_of(rows: Rows, columns: Sequence[str]) -> list[Choices]:
    """From one column of lists, or from several columns of texts.

    A list holds texts, or objects with `text` and `label`; {"text": [...], "label": [...]} is the same. A missing text
    in the last of several columns means a row with fewer choices. Raises ExpError, with row and column, for a choice
    that is missing, empty or no text, for fewer than two, and for a label that stands twice.
    """
    if len(columns) == 1:
        cells = rows.column(columns[0])
        return [_of_cell(cell, f"{rows.where(row)}: column {columns[0]!r}") for row, cell in enumerate(cells)]
    found = []
    for row, several in enumerate(zip(*(rows.column(name) for name in columns), strict=True)):
        texts = list(several)
        while texts and texts[-1] in (None, ""):
            texts.pop()
        for name, text in zip(columns, texts, strict=False):
            if not isinstance(text, str) or not text.strip():
                raise ExpError(f"{rows.where(row)}: the choice in column {name!r} is {_what(text)}")
        if len(texts) < 2:
            raise ExpError(f"{rows.where(row)}: {_few(len(texts))} in the columns {', '.join(columns)}")
        found.append(Choices(texts, [str(number) for number in range(len(texts))]))
    return found


def right_ones(rows: Rows, column: str, choices: Sequence[Choices]) -> list[int]:
    """Index of each row's right choice: its name, its number from 0, or its text.

    Raises ExpError, with row and column, where the label is missing or none of the row's choices.
    """
    return [_right(cell, choices[row], rows, column, row) for row, cell in enumerate(rows.column(column))]


def _right(cell: Any, choices: Choices, rows: Rows, column: str, row: int) -> int:
    where = f"{rows.where(row)}: label in column {column!r}"
    if cell is None or cell == "":
        raise ExpError(f"{where} is missing")
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # what a table with a gap makes of an integer
    word = str(cell)
    if word in choices.names:
        return choices.names.index(word)
    if isinstance(cell, str) and choices.texts.count(word) == 1:
        return choices.texts.index(word)
    if isinstance(cell, str) and choices.texts.count(word) > 1:
        raise ExpError(f"{where} is {shortened(word)}, the text of several choices; give its number from 0")
    numbered = word.isdigit() and not any(name.isdigit() for name in choices.names)
    if numbered and int(word) < len(choices.texts):
        return int(word)
    known = f"0 to {len(choices.texts) - 1}" if choices.names[0] == "0" else ", ".join(choices.names)
    raise ExpError(f"{where} is {shortened(cell)}; the row has {len(choices.texts)} choices: {known}")


def _of_cell(cell: Any, where: str) -> Choices:
    value = _parsed(cell) if isinstance(cell, str) else cell
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        labels = value.get("label")
        if labels is not None and (not isinstance(labels, list) or len(labels) != len(value["text"])):
            raise ExpError(f"{where} has {len(value['text'])} texts and another number of labels")
        value = [
            text if labels is None else {"text": text, "label": label}
            for text, label in zip(value["text"], labels or value["text"], strict=True)
        ]
    if not isinstance(value, list):
        near = nearest("text", value) if isinstance(value, dict) else ""
        raise ExpError(f"{where} is {_what(cell)}, no list of choices{near}")
    objects = [isinstance(one, dict) for one in value]
    texts: list[Any] = [one.get("text") if isinstance(one, dict) else one for one in value]
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise ExpError(f"{where}: choice {number} is {_what(text)}")
    if len(texts) < 2:
        raise ExpError(f"{where}: {_few(len(texts))}")
    named = all(objects) and all(one.get("label") is not None for one in value)
    names = [str(one["label"] if named else number) for number, one in enumerate(value)]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise ExpError(f"{where}: two choices have the label {doubled!r}")
    return Choices(texts, names)


def _parsed(cell: str) -> Any:
    """A list from a table of texts: JSON, or texts with a bar between them."""
    import json

    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return [part.strip() for part in cell.split("|")] if "|" in cell else cell


def _what(value: Any) -> str:
    return "missing" if value is None else "empty" if value == "" else shortened(value)


def _few(count: int) -> str:
    return f"{count or 'no'} choice{'s' * (count != 1)}; two or more are needed"


class ChoiceCollator(Collator):
    """[rows, choices, tokens], padded to the most choices and the longest of them.

    A padded choice attends to one padding token, because some kernels give NaN where there is nothing to attend to;
    `real_choices` knows it by that.
    """

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        import torch

        most = max(len(row["choice_lengths"]) for row in rows)
        flat: list[dict[str, Any]] = []
        for row in rows:
            start = 0
            for length in row["choice_lengths"]:
                flat.append({key: row[key][start : start + length] for key in self.fills if key in row})
                start += length
            flat += [{**{key: [] for key in self.fills if key in row}, "absent": True}] * (
                most - len(row["choice_lengths"])
            )
        batch = {key: value.view(len(rows), most, -1) for key, value in super().__call__(flat).items()}
        absent = torch.tensor(["absent" in one for one in flat]).view(len(rows), most)
        batch["attention_mask"][..., -1 if self.left else 0] |= absent
        if "labels" in rows[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in rows])
        return batch


def real_choices(attention_mask: Tensor) -> Tensor:
    """[rows, choices], False where a choice was padded; from [rows, choices, tokens]."""
    return attention_mask.sum(-1) > 1


def without_padded_choices(batch: Mapping[str, Any], output: Any) -> Any:
    """Padded choices get the lowest logit, and the loss is that of the others."""
    from torch.nn.functional import cross_entropy

    real = real_choices(batch["attention_mask"])
    if surely_all(real):
        return output
    output.logits = output.logits.masked_fill(~real, -1e4)  # fp16 holds it, and e^-1e4 is 0 beside any logit
    if output.loss is not None:
        output.loss = cross_entropy(output.logits, batch["labels"])
    return output


def blank_choices(batch: Mapping[str, Tensor], classes: int) -> Tensor:
    """[rows, choices]: all of a row's alike (exp.task.terms)."""
    ids = batch["input_ids"]
    return ids.new_zeros(ids.shape[:2]).float().masked_fill(~real_choices(batch["attention_mask"]), float("-inf"))


def choice_terms(batch: Mapping[str, Tensor], output: Any) -> list[Term]:
    """One of a row's own choices (exp.task.terms)."""
    return [Term("class", output.logits.float(), batch["labels"], real_choices(batch["attention_mask"]))]
