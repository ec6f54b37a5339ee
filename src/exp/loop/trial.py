"""How a run tells a sweep how it is doing, and learns that it should stop."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Trial(Protocol):
    """One point of a study, as a loop sees it."""

    def report(self, value: float, step: int) -> None:
        """The objective's value at an evaluation; `step` counts optimizer steps."""
        ...

    def should_prune(self) -> bool: ...


class NoTrial:
    """A run outside a sweep is never pruned."""

    def report(self, value: float, step: int) -> None:
        pass

    def should_prune(self) -> bool:
        return False


# The study that a run is a trial of, for its record.
study: ContextVar[str | None] = ContextVar("study", default=None)

# Hydra hands a job nothing but its config; the sweep's worker sets the live trial around the call.
current: ContextVar[Trial] = ContextVar("trial", default=NoTrial())  # noqa: B039 (stateless)
