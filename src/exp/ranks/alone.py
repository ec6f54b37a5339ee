"""What the processes of a run can do together, and its null object: one process agrees with itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from exp.ranks.place import Place


class Ranks(Protocol):
    place: Place

    def decide(self, name: str, ask: Callable[[], Any]) -> Any:
        """The first process's answer, for all; `ask` is called there only. The answer is JSON."""
        ...

    def collect(self, name: str, value: Any) -> list[Any]:
        """Every process's value, in order, on the first process; empty on the others."""
        ...

    def says(self, message: str) -> bool:
        """Whether this process is the one that tells the user; all others learn that the run is over."""
        ...

    def first_here(self, name: str) -> Any:
        """A context: the first process of each host passes through before the others, who find its files."""
        ...


class Alone:
    place = Place(0, 1, 0)

    def decide(self, name: str, ask: Callable[[], Any]) -> Any:
        return ask()

    def collect(self, name: str, value: Any) -> list[Any]:
        return [value]

    def says(self, message: str) -> bool:
        return True

    @contextmanager
    def first_here(self, name: str) -> Iterator[None]:
        yield
