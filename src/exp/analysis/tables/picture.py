"""The live grid on the terminal; outside a terminal one line an event."""

from __future__ import annotations

import sys
import time
from typing import Any

from exp.analysis.tables.plan import TablePlan, seconds_left
from exp.run.said import counted

SIGNS = {
    "found": ("█", "green"),
    "running": ("▒", "cyan"),
    "missing": ("·", "dim"),
    "waiting": ("…", "dim"),
    "failed": ("×", "red"),
}
EVERY = 0.25  # seconds between two drawings


class Picture:
    """One sign a run: █ done, ▒ running, · missing, … waiting for weights, × failed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun, self.drawn = time.monotonic(), 0.0
        self.live: Any = None
        self.tty = sys.stdout.isatty()

    def say(self, text: str) -> None:
        if self.live is not None:
            self.live.console.print(text, markup=False, highlight=False)
        else:
            print(text, flush=True)

    def show(self, plan: TablePlan, busy: int) -> None:
        if not self.tty or time.monotonic() - self.drawn < EVERY:
            return
        self.drawn = time.monotonic()
        if self.live is None:
            from rich.live import Live

            self.live = Live(refresh_per_second=4)
            self.live.start()
        self.live.update(self._grid(plan, busy))

    def close(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _grid(self, plan: TablePlan, busy: int) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        names = list(dict.fromkeys(column for _, column in plan.cells))
        spent = time.monotonic() - self.begun
        title = (
            f"{self.name}: {plan.count('found')} of {len(plan.jobs)} runs, {plan.count('failed')} failed, "
            f"{busy} here now, {told(seconds_left(plan))}, {spent:.0f} s"
        )
        grid = Table(box=None, pad_edge=False, header_style="bold")
        grid.add_column("")
        for name in names:
            grid.add_column(Text(name))
        for row in dict.fromkeys(row for row, _ in plan.cells):
            cells = []
            for name in names:
                text = Text()
                for job in plan.of_cell(row, name) if (row, name) in plan.cells else ():
                    text.append(*SIGNS[job.state])
                cells.append(text)
            grid.add_row(Text(row), *cells)
        return Group(Text(title), grid)


def told(left: tuple[float, int]) -> str:
    """Cost of what is missing, and how much of it nothing is known about."""
    seconds, unknown = left
    known = (
        f"about {seconds / 3600:.1f} h"
        if seconds > 5400
        else f"about {seconds / 60:.0f} min"
        if seconds > 90
        else f"about {seconds:.0f} s"
    )
    if unknown:
        return (
            f"{known} of training left and {counted(unknown, 'run')} of unknown cost"
            if seconds
            else f"{counted(unknown, 'run')} of unknown cost"
        )
    return f"{known} of training left"
