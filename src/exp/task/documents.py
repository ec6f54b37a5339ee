"""Plain text as language models read it: rows that are documents, or rows that are lines of one text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from exp.data.examples import Examples, TaskData
from exp.errors import ExpError
from exp.task.assemble import assemble, read_splits

if TYPE_CHECKING:
    from exp.data.base import RawData
    from exp.data.rows import Rows

TEXT_COLUMN = "text"
# What stands between two rows: the tokenizer's end token, a line break, or nothing, because rows have their own.
Between = Literal["end_token", "line_break", "nothing"]


class Prompt(str):
    """A text to go on with (a causal model) or whose gaps to fill (a masked one), not to be measured."""

    __slots__ = ()


def read_documents(
    raw: RawData, column: str, between: Between, metrics: Sequence[str], max_length: int, facts: Mapping[str, Any]
) -> TaskData:
    """Raises ExpError, with file and row, for a cell that is no text, and where a split has no text at all."""
    if raw.fold is not None and between != "end_token":
        raise ExpError(
            f"folds={raw.fold.count} deals rows to folds, and here they are parts of one text (task.between_rows); "
            f"where each row is a text of its own, set task.between_rows=end_token"
        )
    raw = _hold_out_end(raw) if between != "end_token" else raw

    def examples(rows: Rows, labelled: bool) -> Examples:
        return text_examples(rows, column)

    def with_text(rows: Rows, labelled: bool) -> tuple[Rows, bool]:
        if not any(text_examples(rows, column).inputs[column]):
            raise ExpError(f"{rows.path}: every row of column {column!r} is empty; there is nothing to learn")
        return rows, labelled

    return assemble(
        raw,
        read_splits(raw, examples, with_text),
        metrics=metrics,
        max_length=max_length,
        facts={"inputs": [column], "label_column": None, "label_names": None, **facts},
    )


def text_examples(rows: Rows, column: str) -> Examples:
    """A text is its own target, unless somebody typed it to have it continued."""
    if column not in rows and "messages" in rows:
        raise ExpError(f"{rows.path} has no column {column!r}; its chats are read with task.messages_column=messages")
    texts = rows.texts(column)
    typed = any(isinstance(text, Prompt) for text in texts)
    return Examples(list(range(len(rows))), {column: texts}, None if typed else texts)


def between_text(between: Between) -> str:
    """What a row's text is followed by, in characters."""
    return "\n" if between == "line_break" else ""


def _hold_out_end(raw: RawData) -> RawData:
    """Lines of one text are held out from its end: lines drawn here and there would leave gaps in the training text,
    and their neighbours would tell what they say."""
    if raw.hold_out is None:
        return raw
    held = round(raw.hold_out.share * len(raw.train))
    if not 0 < held < len(raw.train):
        raise ExpError(f"data.validation_share={raw.hold_out.share} of {len(raw.train)} rows leaves a split empty")
    edge = len(raw.train) - held
    rows = range(len(raw.train))
    return replace(raw, train=raw.train.take(rows[:edge]), evals={"": raw.train.take(rows[edge:])}, hold_out=None)
