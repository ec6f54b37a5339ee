"""transformers' early stopping, as `callbacks=[early_stopping]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

if TYPE_CHECKING:
    from transformers import TrainerCallback


@dataclass(frozen=True)
class EarlyStopping:
    """See conf/callbacks/early_stopping.yaml for the keys."""

    patience: Annotated[int, Ge(1)]
    threshold: Annotated[float, Ge(0)]

    def make(self) -> TrainerCallback:
        from transformers import EarlyStoppingCallback

        return EarlyStoppingCallback(self.patience, self.threshold)
