"""Searches and tables as one table on the screen."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from exp.run.said import near
from exp.work.studies import state_of

TITLES = ("study", "kind", "trials", "workers", "folder")


def show(folders: Iterable[Path]) -> None:
    """Prints one line a study, in the order given."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in TITLES:
        table.add_column(title, overflow="fold", no_wrap=title != "folder")
    for folder in folders:
        found = state_of(folder)
        states = found.problem or ", ".join(f"{count} {state}" for state, count in (found.states or {}).items())
        workers = f"{found.workers}{' in the background' if found.detached else ''}"
        table.add_row(*map(escape, (found.name, found.kind, states, workers, near(folder))))
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
