"""The name under which a run reports a number: `<set>/<metric>`, such as `train/loss` or `eval_mm/accuracy`.

This module owns that grammar; `exp.metrics.names` says which way a metric gets better, `exp.metrics.best` what is best.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exp.metrics.names import greater_is_better

KINDS = ("train", "eval", "test")
# Endings of names under eval/ that measure speed or size and not quality.
SPEEDS = ("runtime", "seconds", "per_second", "examples", "steps", "epoch", "length")


@dataclass(frozen=True, order=True)
class Key:
    """One metric on one set of rows; `str(key)` is the text that stands in every file.

    `split` is a kind, with a suffix where the data has several sets of that kind: `eval`, `eval_mm`, `test`,
    `train`. It is empty for a number that belongs to no set, and any other word where a stranger's run has one.
    """

    split: str
    name: str

    @classmethod
    def make(cls, kind: str, suffix: str, name: str) -> Key:
        """`make("eval", "mm", "accuracy")` is eval_mm/accuracy; the suffix may be empty."""
        return cls(f"{kind}_{suffix}" if suffix else kind, name)

    @classmethod
    def of(cls, text: str) -> Key:
        """From a run's files or from W&B: the first slash ends the set."""
        split, slash, name = text.partition("/")
        return cls(split, name) if slash else _underscored(text) or cls("", text)

    @classmethod
    def parse(cls, text: str) -> Key:
        """From a user: `accuracy`, `eval_accuracy` and `eval/accuracy` are all eval/accuracy."""
        found = cls.of(text)
        return found if found.split else cls("eval", text)

    @classmethod
    def find(cls, wanted: str, known: Iterable[str]) -> str | None:
        """The one of `known` that a user means by `wanted`, in any spelling of `parse`; None: it is none of them."""
        known = list(known)
        return next((key for key in (wanted, f"eval/{wanted}", str(cls.parse(wanted))) if key in known), None)

    @property
    def kind(self) -> str:
        """`train`, `eval` or `test`; empty for any other set."""
        kind = self.split.partition("_")[0]
        return kind if kind in KINDS else ""

    @property
    def suffix(self) -> str:
        """`mm` of eval_mm/accuracy; empty for the only or first set of its kind."""
        return self.split.partition("_")[2] if self.kind else ""

    @property
    def short(self) -> str:
        """For people: `accuracy` for eval/accuracy; other sets are named."""
        return self.name if self.split == "eval" else str(self)

    @property
    def is_quality(self) -> bool:
        """A score or loss of an evaluation or test set; speeds may stand there too."""
        return self.kind in ("eval", "test") and not self.name.endswith(SPEEDS)

    @property
    def greater_is_better(self) -> bool:
        """By `exp.metrics.names.greater_is_better`."""
        return greater_is_better(self.name)

    def __str__(self) -> str:
        return f"{self.split}/{self.name}" if self.split else self.name


def _underscored(text: str) -> Key | None:
    """eval_accuracy, as transformers writes it; a suffix cannot be told from the name there."""
    kind, _, name = text.partition("_")
    return Key(kind, name) if kind in KINDS and name else None
