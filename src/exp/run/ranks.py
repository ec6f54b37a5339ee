"""What the processes of a run can do together, its null object, and how they meet.

Light until there are several: one process imports no torch for this, and `current` is then `SingleProcess`.
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
        """The first process's answer, for all; `ask` is called there only. The answer is JSON."""
        ...

    def collect(self, name: str, value: Any) -> list[Any]:
        """Every process's value, in order, on the first process; empty on the others."""
        ...

    def tells_user(self, message: str) -> bool:
        """Whether this process is the one that tells the user; all others learn that the run is over."""
        ...

    def first_on_host(self, name: str) -> Any:
        """A context: the first process of each host passes through before the others, who find its files."""
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
