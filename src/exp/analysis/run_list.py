"""All runs as one table on the screen, newest first."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from exp.analysis.filters import plain
from exp.analysis.grouping import differing_keys, distinguishing_keys, shown_value
from exp.analysis.lookup import best_text
from exp.analysis.run_data import RunData
from exp.analysis.table import SHORT_HASH, short_keys
from exp.run.option_name import adapter_name, model_name
from exp.run.said import near

MOST_COMPARED = 300  # conditions: finding out what tells them apart takes time in proportion to their square
MOST_TOLD = 5  # options of a run in one line of the list
TITLES = ("created", "data", "model", "adapter", "what differs", "seed", "status", "best", "condition", "id", "folder")


def show(runs: Sequence[RunData]) -> None:
    """Prints one line a run, in the order given."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in TITLES:
        folds = title in ("folder", "what differs")
        table.add_column(title, overflow="fold" if folds else "ellipsis", no_wrap=not folds)
    for run, what in zip(runs, _what_differs(runs), strict=True):
        cells = (run.task, model_name(run.config, run.options), adapter_name(run.config), what, str(run.seed))
        state = (run.status, best_text(run), run.condition[:SHORT_HASH], run.id, near(run.source))
        table.add_row(_minute(run.created), *map(escape, (*cells, *state)))
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def _what_differs(runs: Sequence[RunData]) -> list[str]:
    """Of each run the few options that tell its condition from the others here."""
    configs = {run.condition: run for run in runs}
    if not 2 <= len(configs) <= MOST_COMPARED:
        return [""] * len(runs)
    keys = differing_keys(configs.values())
    varies = {name: {key: run.config.get(key) for key in keys} for name, run in configs.items()}
    told = distinguishing_keys(keys, list(varies.values()))[:MOST_TOLD]
    titles = short_keys(told)
    texts = {
        name: " ".join(
            f"{titles[key]}={plain(shown_value(key, values[key]))}" for key in told if values[key] is not None
        )
        for name, values in varies.items()
    }
    return [texts[run.condition] for run in runs]


def _minute(moment: str | None) -> str:
    return (moment or "-")[:16].replace("T", " ")
