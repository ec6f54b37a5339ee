"""Gold answers of a question: from the cells of a row to texts with their places in the context."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exp.data.rows import Rows, shortened
from exp.errors import ExpError

log = logging.getLogger("exp")
IMPOSSIBLE = "is_impossible"  # SQuAD 2.0's own column
NAMED = 5  # rows that a message names


@dataclass(frozen=True)
class Gold:
    """What is right for one question. Both are empty where it has no answer."""

    texts: list[str]
    starts: list[int]  # of each text in the context, in characters

    def aligned(self, context: str) -> bool:
        """Whether every text stands where it should."""
        pairs = zip(self.texts, self.starts, strict=True)
        return all(start >= 0 and context.startswith(text, start) for text, start in pairs)


def gold_of(rows: Rows, column: str) -> list[Gold]:
    """Raises ExpError, with row and column, for cells of another shape. A question without an answer has an empty
    list, or true in the column `is_impossible`; `plausible_answers` are no answers."""
    impossible = rows.columns.get(IMPOSSIBLE) or [None] * len(rows)
    cells = rows.column(column)
    return [
        Gold([], []) if flag in (True, "true", "True", 1) else _gold(cell, f"{rows.where(row)}: column {column!r}")
        for row, (cell, flag) in enumerate(zip(cells, impossible, strict=True))
    ]


def aligned_rows(rows: Rows, gold: Sequence[Gold], contexts: Sequence[str], drop: bool) -> list[int]:
    """Numbers of the rows whose answers stand where they should. Raises ExpError for others, unless `drop`."""
    wrong = [row for row, one in enumerate(gold) if not one.aligned(contexts[row])]
    if not wrong:
        return list(range(len(gold)))
    first = gold[wrong[0]]
    found = [contexts[wrong[0]][max(start, 0) : max(start, 0) + len(text)] for text, start in _pairs(first)]
    at = next(n for n, (text, start) in enumerate(_pairs(first)) if start < 0 or found[n] != text)
    places = ", ".join(rows.where(row).removeprefix(f"{rows.path}, ") for row in wrong[:NAMED])
    said = (
        f"{rows.path}: {len(wrong)} of {len(gold)} rows have an answer that is not where its answer_start says "
        f"({places}{', ...' if len(wrong) > NAMED else ''}); the first is {shortened(first.texts[at])} at "
        f"{first.starts[at]}, where {shortened(found[at])} stands"
    )
    if not drop:
        raise ExpError(f"{said}. Mend them, or leave these rows out with task.drop_misaligned=true")
    log.warning("%s. They are left out", said)
    return [row for row in range(len(gold)) if row not in set(wrong)]


def _pairs(gold: Gold) -> list[tuple[str, int]]:
    return list(zip(gold.texts, gold.starts, strict=True))


def _gold(cell: Any, where: str) -> Gold:
    value = _parsed(cell, where) if isinstance(cell, str) else cell
    if isinstance(value, list):  # SQuAD's own: [{"text": ..., "answer_start": ...}]
        if not all(isinstance(one, dict) for one in value):
            raise ExpError(f"{where} is {shortened(cell)}; {_FORM}")
        value = {key: [one.get(key) for one in value] for key in ("text", "answer_start")}
    if not isinstance(value, dict) or not {"text", "answer_start"} <= value.keys():
        raise ExpError(f"{where} is {'missing' if cell is None else shortened(cell)}; {_FORM}")
    texts, starts = (one if isinstance(one, list) else [one] for one in (value["text"], value["answer_start"]))
    if len(texts) != len(starts):
        raise ExpError(f"{where} has {len(texts)} texts and {len(starts)} numbers in answer_start; give one each")
    for text, start in zip(texts, starts, strict=True):
        if not isinstance(text, str) or not text:
            raise ExpError(f"{where} has the text {shortened(text)}; a question without an answer has an empty list")
        if isinstance(start, bool) or not isinstance(start, int | float) or not float(start).is_integer():
            raise ExpError(f"{where} has {shortened(start)} in answer_start, not the number of a character")
    return Gold(texts, [int(start) for start in starts])


_FORM = 'give {"text": [...], "answer_start": [...]}, both empty where a question has no answer'


def _parsed(cell: str, where: str) -> Any:
    """From a table of texts: JSON, or what Python prints."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(cell)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ExpError(f"{where} is {shortened(cell) if cell else 'empty'}; {_FORM}, as JSON") from None
