from __future__ import annotations

from importlib import import_module
from typing import Any


def resolve(target: str, where: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)
