"""SQuAD's own JSON: articles with paragraphs with questions; one row a question.

{"data": [{"title": ..., "paragraphs": [{"context": ..., "qas": [{"id": ..., "question": ..., "answers": [...]}]}]}]}
(Rajpurkar et al. 2016; 2018 adds `is_impossible` and `plausible_answers`, which are no answers.)
"""

from __future__ import annotations

from typing import Any

from exp.data.rows import Rows, Source, shortened
from exp.errors import ExpError


def is_nested(rows: Rows) -> bool:
    """Whether the rows of a JSON file are SQuAD's articles."""
    first = next(iter(rows.columns.get("paragraphs", ())), None)
    return isinstance(first, list) and all(isinstance(one, dict) and "qas" in one for one in first[:1])


def flattened(rows: Rows) -> Rows:
    """Columns id, title, question, context, answers, as the Hub has them, and is_impossible where the file says it.

    `answers` is {"text": [...], "answer_start": [...]}, or None for a question without the key (a test set). Rows are
    counted in questions of the file. Raises ExpError, with article and paragraph, for what has another shape.
    """
    columns: dict[str, list[Any]] = {key: [] for key in ("id", "title", "question", "context", "answers")}
    impossible: list[Any] = []
    titles = rows.columns.get("title", [None] * len(rows))
    for article, (title, paragraphs) in enumerate(zip(titles, rows.column("paragraphs"), strict=True), start=1):
        where = f"{rows.path}, article {article}" + (f" ({shortened(title)})" if title else "")
        for number, paragraph in enumerate(_list(paragraphs, where, "paragraphs"), start=1):
            place = f"{where}, paragraph {number}"
            context = paragraph.get("context")
            if not isinstance(context, str):
                raise ExpError(f"{place}: the context is {shortened(context)}, not a text")
            for question in _list(paragraph.get("qas"), place, "qas"):
                columns["id"].append(question.get("id"))
                columns["title"].append(title)
                columns["question"].append(question.get("question"))
                columns["context"].append(context)
                columns["answers"].append(_answers(question, place))
                impossible.append(question.get("is_impossible"))
    if any(one is not None for one in impossible):
        columns["is_impossible"] = impossible
    if all(one is None for one in titles):
        del columns["title"]
    numbers = list(range(1, len(impossible) + 1))
    return Rows(rows.path, columns, numbers, sources=[Source(rows.path, "question")] * len(numbers))


def _answers(question: dict[str, Any], place: str) -> dict[str, list[Any]] | None:
    if question.get("answers") is None:
        return None
    found = _list(question["answers"], f"{place}, question {shortened(question.get('id'))}", "answers")
    return {key: [answer.get(key) for answer in found] for key in ("text", "answer_start")}


def _list(value: Any, place: str, key: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ExpError(f"{place}: {key!r} is {shortened(value)}, no list of objects as in SQuAD's JSON")
    return value
