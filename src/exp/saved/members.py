"""Whether finished runs can answer as one. Imports nothing heavy: a command asks before it loads a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exp.errors import ExpError

if TYPE_CHECKING:
    from exp.saved.finished import Finished


def check_members(runs: Sequence[Finished]) -> None:
    """Raises ExpError where runs cannot answer together: another task, other classes or other columns."""
    first, *others = runs
    for run in others:
        for what, one, two in (
            ("task", first.config["task"]["_target_"], run.config["task"]["_target_"]),
            ("classes", first.facts["label_names"], run.facts["label_names"]),
            ("columns", first.facts.get("inputs"), run.facts.get("inputs")),
        ):
            if one != two:
                raise ExpError(f"{run.folder} has another {what} than {first.folder}: {two}, not {one}")
        if run.folder == first.folder:
            raise ExpError(f"{run.folder} is given twice")
