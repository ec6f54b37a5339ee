"""How a run tells a sweep how it is doing, and learns that it should stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Trial(Protocol):
    """One point of a study, as a run sees it."""

    @property
    def study(self) -> str | None:
        """The study or table that the run belongs to, for its record."""
        ...

    def report(self, value: float, step: int) -> None:
        """The objective's value at an evaluation; `step` counts optimizer steps."""
        ...

    def should_prune(self) -> bool: ...


@dataclass(frozen=True)
class NoTrial:
    """A run that is never pruned: outside a sweep, or a table's."""

    study: str | None = None

    def report(self, value: float, step: int) -> None:
        pass

    def should_prune(self) -> bool:
        return False
