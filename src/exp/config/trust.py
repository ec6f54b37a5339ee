"""What a config's `_target_` may name."""

from __future__ import annotations

import importlib
from typing import Any

from exp.errors import ExpError


def resolve(target: str, where: str) -> Any:
    """The object that `target` names. Raises ExpError where it is not trusted or is not there."""
    module, _, name = target.rpartition(".")
    if not module.startswith("exp."):
        raise ExpError(f"{where}._target_={target} is not trusted")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ExpError(f"{where}._target_={target} cannot be imported: {error}") from error
