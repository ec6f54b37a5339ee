"""Label names: from the data into the config, and from a checkpoint matched by name, never by order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exp.task.base import Head


def named_labels(config: Any) -> tuple[str, ...] | None:
    """A checkpoint's label names by row of its output layer; None when they are the generic LABEL_0, LABEL_1."""
    names = tuple(config.id2label[row] for row in sorted(config.id2label))
    return None if all(re.fullmatch(r"LABEL_\d+", name) for name in names) else names


def rows_by_name(old: Sequence[str] | None, new: Sequence[str] | None) -> list[int] | None:
    """For each new label the row of the checkpoint that has its name; None when the sets of names differ.

    Case, spaces and hyphens are not told apart from lower case and underscores.
    """
    if old is None or new is None or len(old) != len(new):
        return None
    rows = {_plain(name): row for row, name in enumerate(old)}
    wanted = [_plain(name) for name in new]
    if len(rows) != len(old) or len(set(wanted)) != len(wanted) or set(wanted) != set(rows):
        return None
    return [rows[name] for name in wanted]


def set_labels(config: Any, head: Head) -> None:
    """Label names, their number and the kind of loss; without names the number of outputs alone.

    A head that comes with the checkpoint has none of these.
    """
    if not head.drawn:
        return
    if head.problem_type is not None:
        config.problem_type = head.problem_type
    if head.labels is None:
        config.num_labels = head.outputs
        return
    config.id2label = dict(enumerate(head.labels))
    config.label2id = {name: row for row, name in enumerate(head.labels)}


def _plain(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().casefold())
