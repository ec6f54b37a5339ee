"""A text in one language to the same in another, by an encoder-decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from exp.errors import ExpError
from exp.task.generation import TextToText

# Written without spaces between words: sacrebleu's default finds none there.
TOKENIZERS = {"zh": "zh", "zho": "zh", "ja": "char", "jpn": "char", "th": "char", "tha": "char"}


@dataclass(frozen=True)
class Translation(TextToText):
    """See conf/task/translation.yaml for the keys."""

    pipeline: ClassVar[str] = "translation"
    predicts: ClassVar[str] = "a translation"
    default_columns: ClassVar[tuple[str, str]] = ("source", "target")
    default_metrics: ClassVar[tuple[str, ...]] = ("bleu", "chrf")
    default_lengths: ClassVar[tuple[int, int]] = (128, 128)

    translation_column: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        named = self.source_column or self.target_column
        if self.translation_column is not None and named:
            raise ExpError(
                f"task.translation_column={self.translation_column} holds both sides; set task.source_column and "
                f"task.target_column to null"
            )
        if self.translation_column is not None:
            self._pair(self.translation_column)

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        pair = self._pair_column(roles)
        return [pair] if pair else super().columns_of(roles)

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        self.columns_read(roles)  # a pair of languages is needed before rows are read
        metrics = super().check_metrics(roles)
        if self.metrics or roles.get("metrics"):
            return metrics
        spaceless = TOKENIZERS.get((self.target_lang or "").partition("_")[0])
        return (f"bleu_{spaceless}", "chrf") if spaceless else metrics

    def columns_read(self, roles: Mapping[str, Any]) -> tuple[str, str]:
        pair = self._pair_column(roles)
        return self._pair(pair) if pair else super().columns_read(roles)

    def _pair_column(self, roles: Mapping[str, Any]) -> str | None:
        """The column of objects {en: ..., de: ...}, if the rows are such."""
        if self.source_column or self.target_column:
            return None
        return self.translation_column or roles.get("translation_column")

    def _pair(self, column: str) -> tuple[str, str]:
        """The two keys in it: a language without its country, en of en_XX."""
        if self.source_lang is None or self.target_lang is None:
            raise ExpError(
                f"column {column!r} holds a text for each language: set task.source_lang and task.target_lang, e.g. "
                f"task.source_lang=en task.target_lang=de"
            )
        source, target = (lang.partition("_")[0] for lang in (self.source_lang, self.target_lang))
        return f"{column}.{source}", f"{column}.{target}"
