"""Optimizers of the package pytorch_optimizer by their class name: Lion, AdEMAMix, SOAP, Adan, LAMB and many more."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.optim.optimizers import Groups, OptimizerOption
from exp.optim.torch_classes import Argument, check_arguments, class_arguments

if TYPE_CHECKING:
    import torch
    from torch import nn

PACKAGE = "pytorch_optimizer"
_NEEDS_CLOSURE = "it calls the loss again within a step, which neither loop does"
_UNFIT = {
    **dict.fromkeys(("SAM", "GSAM", "WSAM", "BSAM", "LookSAM", "FriendlySAM", "AliG", "SophiaH"), _NEEDS_CLOSURE),
    **dict.fromkeys(("AdaHessian", "LOMO", "AdaLOMO"), _NEEDS_CLOSURE),
    **dict.fromkeys(("Lookahead", "PCGrad", "TRAC", "ScheduleFreeWrapper", "OrthoGrad"), "it wraps another optimizer"),
    **dict.fromkeys(("ScheduleFreeSGD", "ScheduleFreeAdamW", "ScheduleFreeRAdam"), "take optimizer=schedule_free"),
    **dict.fromkeys(("Muon", "DistributedMuon", "AdaMuon", "AdaGO"), "take optimizer=muon, which splits the weights"),
    **dict.fromkeys(("AdaShift", "Conda"), "its state in a checkpoint can only be read by a pickle"),
    "AdamMini": "it takes a model, not parameters",
    "MuonBase": "it is the ground of others",
}


@dataclass(frozen=True)
class OutsideOptimizer(OptimizerOption):
    """An optimizer of pytorch_optimizer (extra `optimizers`) by its class name.

    Args of the YAML:
        name: Class name in pytorch_optimizer.
        options: The class's other arguments.

    Raises:
        ExpError: The package is missing, has no such class, or the class does not take an argument.
    """

    name: str
    options: dict[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        takes = _arguments(self.name)
        own = {key: value for key, value in takes.items() if key not in ("params", "lr", "weight_decay")}
        if self.weight_decay and "weight_decay" not in takes:
            raise ExpError(f"{PACKAGE}.{self.name} has no weight decay; set optimizer.weight_decay=0.0")
        check_arguments(f"{PACKAGE}.{self.name}", own, self.options, "optimizer.options")

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        """Raises ExpError for a value that the class refuses."""
        import pytorch_optimizer

        plain = {key: tuple(value) if isinstance(value, list) else value for key, value in self.options.items()}
        try:
            return getattr(pytorch_optimizer, self.name)(groups, lr=self.lr, **plain)
        except (TypeError, ValueError, AssertionError) as error:
            raise ExpError(f"optimizer: {PACKAGE} refuses {self.name}({self.options}): {error}") from None


def _arguments(name: str) -> Mapping[str, Argument]:
    """Read off the package's source files, because importing it imports torch."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ExpError(f"optimizer=outside needs the package {PACKAGE}: pip install 'exp[optimizers]'")
    return class_arguments(name, _files(Path(next(iter(found.submodule_search_locations)))), _UNFIT, PACKAGE)


def _files(folder: Path) -> dict[str, Path]:
    """Class name -> source file."""
    files = sorted((folder / "optimizer").rglob("*.py"))
    pattern = re.compile(r"^class ([A-Za-z]\w*)\(BaseOptimizer\)", re.MULTILINE)
    return {name: file for file in files for name in pattern.findall(file.read_text(encoding="utf-8"))}
