"""Names of sacrebleu that are not public, each with the reason. tests/compat/test_sacrebleu.py notices a change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def sentence_statistics(metric: Any, texts: Sequence[str], streams: Sequence[Sequence[str | None]]) -> list[list[int]]:
    """What of each sentence adds up to the corpus score. Public scores are of whole corpora alone, and a test over
    examples needs thousands of them; sacrebleu's own paired tests use this name too."""
    found: list[list[int]] = metric._extract_corpus_statistics(list(texts), streams)
    return found


def score_of_sums(metric: Any, sums: Any) -> float:
    """The corpus score, from 0 to 100, of sums of `sentence_statistics`."""
    return float(metric._compute_score_from_stats(sums).score)
