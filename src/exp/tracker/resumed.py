"""What a service has of a run from before a resume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from exp.run.folder import read_record

if TYPE_CHECKING:
    from exp.run.folder import Run


class Sent:
    """Steps up to `logged_until` of run.json were sent before the resume and are not sent again.

    Test sets are measured once, at the end, and their step is that of the saved weights: they are always sent.
    """

    def __init__(self, run: Run) -> None:
        self.until: int | None = read_record(run.folder).get("logged_until")

    def has(self, metrics: Mapping[str, float], step: int) -> bool:
        return self.until is not None and step <= self.until and not all(key.startswith("test") for key in metrics)
