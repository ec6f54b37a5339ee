"""Models whose own loss or logits are not quite a task's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def correct_outputs(model: Any, corrected: Callable[[Mapping[str, Any], Any], Any]) -> None:
    """Every output of `model` goes through `corrected(batch, output)`.

    Not a hook: peft calls the `forward` of the model inside, past its hooks.
    """
    forward = model.forward

    @functools.wraps(forward)
    def corrected_forward(*arguments: Any, **batch: Any) -> Any:
        return corrected(batch, forward(*arguments, **batch))

    model.forward = corrected_forward


def surely_all(mask: Tensor) -> bool:
    """Whether all of `mask` is true and the processor can see it: reading it from a GPU would wait for the GPU."""
    return mask.device.type == "cpu" and bool(mask.all())
