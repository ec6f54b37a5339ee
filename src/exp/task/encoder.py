"""Where in a model its encoder stands, as opposed to the head that a task put on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def encoder_prefix(model: nn.Module) -> str:
    """How the names of the encoder's parameters begin, such as `bert.`; empty where the model is a bare encoder."""
    prefix = getattr(model, "base_model_prefix", "")
    return f"{prefix}." if any(name == prefix for name, _ in model.named_children()) else ""
