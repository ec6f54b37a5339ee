"""Small data of one tag a word."""

from __future__ import annotations

from tests.reading import option, rows

NAMES = ["O", "B-x", "I-x"]


def task(**changes):
    return option("task", "token_classification", **changes)


def table(*sentences: tuple[list | None, list | None], name: str = "train.jsonl"):
    return rows(name, tokens=[words for words, _ in sentences], tags=[tags for _, tags in sentences])


GOOD = (["the", "red", "cat"], ["O", "B-x", "I-x"])
