"""A long text to a short one, by an encoder-decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from exp.task.generation import TextToText


@dataclass(frozen=True)
class Summarization(TextToText):
    """See conf/task/summarization.yaml for the keys."""

    pipeline: ClassVar[str] = "summarization"
    predicts: ClassVar[str] = "a summary"
    default_columns: ClassVar[tuple[str, str]] = ("document", "summary")  # XSum's
    default_metrics: ClassVar[tuple[str, ...]] = ("rouge1", "rouge2", "rougeL", "rougeLsum")
    default_lengths: ClassVar[tuple[int, int]] = (1024, 128)  # run_summarization's
