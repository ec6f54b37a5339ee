"""transformers' printer of logs, as `callbacks=[printer]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import TrainerCallback


@dataclass(frozen=True)
class Printer:
    """Prints every log as one line of a Python dict."""

    def make(self) -> TrainerCallback:
        from transformers import PrinterCallback

        return PrinterCallback()
