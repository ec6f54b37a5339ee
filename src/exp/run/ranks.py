"""What the processes of a run can agree on, and the null object for one process.

Light: one process imports no torch for this. `current` is `SingleProcess` until exp.distributed.joined_ranks.joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from exp.run.place import Place


class Ranks(Protocol):
    place: Place

    def decide(self, name: str, ask: Callable[[], Any]) -> Any:
        """The first process's answer, on all processes. Only the first one calls `ask`. The answer is JSON."""
        ...

    def collect(self, name: str, value: Any) -> list[Any]:
        """Every process's value, in order, on the first process; empty on the others."""
        ...

    def tells_user(self, message: str) -> bool:
        """Whether this process has to tell the user. All others learn that the run is over."""
        ...

    def first_on_host(self, name: str) -> Any:
        """A context that the first process of each host passes before the others, which then find its files."""
        ...


class SingleProcess:
    place = Place(0, 1, 0)

    def decide(self, name: str, ask: Callable[[], Any]) -> Any:
        return ask()

    def collect(self, name: str, value: Any) -> list[Any]:
        return [value]

    def tells_user(self, message: str) -> bool:
        return True

    @contextmanager
    def first_on_host(self, name: str) -> Iterator[None]:
        yield


BAD_INPUT = 2
current: ContextVar[Ranks] = ContextVar("ranks", default=SingleProcess())  # noqa: B039 (stateless)
