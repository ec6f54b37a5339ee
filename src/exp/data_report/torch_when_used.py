"""torch, loaded when something of it is first asked for.

transformers imports torch beside every config of a model, also where only a tokenizer is wanted: a look at data would
wait for it longer than for its rows. Whatever needs torch (a task of one's own, a processor of images) gets all of it.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Becomes the real module with the first name that is asked for.

    Not importlib.util.LazyLoader: the next `import torch` would load that one. `__path__` is missing on purpose, so
    that importing a submodule asks for it.
    """

    def __init__(self, name: str, spec: Any) -> None:
        super().__init__(name)
        self.__spec__, self.__loader__, self.__file__, self.__package__ = spec, spec.loader, spec.origin, name
        self.__dict__["_lock"], self.__dict__["_begun"] = threading.RLock(), False

    def __getattr__(self, name: str) -> Any:
        held = self.__dict__
        with held["_lock"]:
            if type(self) is _Later:
                if held["_begun"]:  # its own code asks what is not there yet
                    raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
                self._load()
        return getattr(self, name)

    def _load(self) -> None:
        held, spec = self.__dict__, self.__spec__
        assert spec is not None and spec.loader is not None
        held["_begun"] = True
        held["__path__"] = spec.submodule_search_locations
        try:
            spec.loader.exec_module(self)
        except BaseException:
            sys.modules.pop(self.__name__, None)
            raise
        self.__class__ = ModuleType  # type: ignore[assignment]  # Python allows it for modules


def load_torch_when_used() -> None:
    """Until then `import torch` gives a module that is empty. Nothing happens where torch is imported, or missing."""
    if "torch" not in sys.modules and (spec := importlib.util.find_spec("torch")) is not None:
        sys.modules["torch"] = _Later("torch", spec)
