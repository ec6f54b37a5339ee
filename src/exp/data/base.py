"""The contract of a data option: what `conf/data/*.yaml` must return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class RawData:
    """Text data before a tokenizer has seen it.

    Every split has the columns `text_columns` (str), `idx` (the example's id, int or str) and, where it is
    labelled, `label`: an int index into `label_names`, or a float when `label_names` is None (regression).
    Row order is the source's order; nothing is shuffled here.
    """

    name: str
    train: Dataset
    evals: Mapping[str, Dataset]  # suffix -> split: {"": dev}, and for MNLI {"": matched, "mm": mismatched}
    tests: Mapping[str, Dataset]  # the same for test splits; may be empty, may lack `label`
    text_columns: tuple[str, ...]  # one sentence, or a pair
    label_names: tuple[str, ...] | None  # None: regression
    metrics: tuple[str, ...]  # names that exp.metrics knows; the first is the primary one
    max_length: int  # tokens, special tokens included
    fingerprint: str  # sha256 over the contents of all splits, the same on every machine
