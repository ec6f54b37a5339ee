"""transformers' early stopping, as `callbacks=[early_stopping]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from exp.errors import ExpError

if TYPE_CHECKING:
    from transformers import TrainerCallback


@dataclass(frozen=True)
class EarlyStopping:
    """See conf/callbacks/early_stopping.yaml for the keys."""

    patience: Annotated[int, Ge(1)]
    threshold: Annotated[float, Ge(0)]

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Raises ExpError where nothing is evaluated that it could stop for."""
        if config["eval_strategy"] == "no":
            raise ExpError(
                "callbacks=[early_stopping] looks at evaluations, and eval_strategy=no makes none: set "
                "eval_strategy=epoch or eval_strategy=steps"
            )

    def make(self) -> TrainerCallback:
        from transformers import EarlyStoppingCallback

        return EarlyStoppingCallback(self.patience, self.threshold)
