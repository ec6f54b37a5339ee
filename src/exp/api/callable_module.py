"""A module that can be called: exp.train is a command (python -m exp.train) and a function (exp.train([...]))."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """Calls the module's own `from_python`."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.from_python(*arguments, **named)


def make_callable(name: str) -> None:
    """`name`: of the module that is being imported, its `__name__`."""
    sys.modules[name].__class__ = CallableModule
