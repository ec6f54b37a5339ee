"""exp: fine-tuning experiments that other people can trust.

    import exp

    run = exp.train(["data=reviews", "optimizer.lr=1e-4"])
    run.best, run.metrics, run.predictions["eval"], run.model
    exp.sweep(["sweep=seeds"]).runs
    exp.load("outputs/mine"), exp.runs("outputs"), exp.compare("multirun")

Nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ("ExpError", "LoadedRun", "compare", "load", "runs", "sweep", "train")

if TYPE_CHECKING:
    from exp.api.run import LoadedRun, load
    from exp.api.tables import compare, runs
    from exp.errors import ExpError
    from exp.train import from_python as train
    from exp.train import sweep

# Name -> the module that has it; a command's module is called as a function.
HOMES = {"sweep": "exp.train", "load": "exp.api.run", "LoadedRun": "exp.api.run", "ExpError": "exp.errors"}
COMMANDS = ("train", "runs", "compare")


def __getattr__(name: str) -> Any:
    if name in COMMANDS:
        return importlib.import_module(f"exp.{name}")
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module 'exp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
