"""Any optimizer or scheduler of torch by its class name: a new option is one YAML and no Python.

The names and arguments are read off torch's source files, because importing torch takes seconds and a wrong name
should be refused at once.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, make_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from exp.errors import ExpError, nearest
from exp.optim.optimizers import Groups, OptimizerOption
from exp.optim.ranges import Betas, Fraction, NotNegative, Positive, Share
from exp.options.option import construct

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.optim.lr_scheduler import LRScheduler

OPTIMIZERS = "torch.optim."
SCHEDULERS = "torch.optim.lr_scheduler."
_UNFIT = {
    "LBFGS": "it calls the loss several times a step, which neither loop does",
    "SparseAdam": "it takes sparse gradients only",
    "Muon": "it takes matrices only, and a model has biases and norms",
    "LambdaLR": "it takes a Python function, which no YAML can give",
    "MultiplicativeLR": "it takes a Python function, which no YAML can give",
    "SequentialLR": "it takes other schedulers, which no YAML can give",
    "ChainedScheduler": "it takes other schedulers, which no YAML can give",
}
# Arguments of torch's classes that have the same range in all of them.
_RANGES: dict[str, Any] = {
    "betas": Betas,
    "eps": NotNegative,
    "momentum": Share,
    "rho": Fraction,
    "alpha": Fraction,
    "lr_decay": NotNegative,
    "gamma": Positive,
    "power": Positive,
    "factor": Fraction,
    "patience": Annotated[int, Ge(0)],
    **dict.fromkeys(("step_size", "total_iters", "T_max", "T_0", "T_mult", "total_steps"), Annotated[int, Ge(1)]),
}
_ANNOTATIONS: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str, "Iterable[int]": list[int]}


@dataclass(frozen=True)
class Argument:
    """An argument of one of torch's classes."""

    kind: Any  # a type that pydantic checks
    needed: bool


@dataclass(frozen=True)
class ByNameOptimizer(OptimizerOption):
    """An optimizer of torch.optim by its class name.

    Args of the YAML:
        name: Class name in torch.optim.
        options: The class's other arguments.
    """

    name: str
    options: dict[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        takes = arguments(OPTIMIZERS, self.name, "optimizer.name")
        if self.weight_decay and "weight_decay" not in takes:
            raise ExpError(f"torch.optim.{self.name} has no weight decay; set optimizer.weight_decay=0.0")
        own = {key: value for key, value in takes.items() if key not in ("params", "lr", "weight_decay")}
        check_arguments(f"torch.optim.{self.name}", own, self.options, "optimizer.options")

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        """Raises ExpError for a value that torch refuses."""
        import torch

        return _made(getattr(torch.optim, self.name), groups, {"lr": self.lr, **self.options}, "optimizer")


@dataclass(frozen=True)
class ByNameScheduler:
    """A scheduler of torch.optim.lr_scheduler by its class name, stepped once an optimizer step.

    ReduceLROnPlateau is stepped at evaluations, in the direction of the metric.

    Args of the YAML:
        name: Class name in torch.optim.lr_scheduler.
        options: The class's arguments.
    """

    name: str
    options: dict[str, Any]

    def __post_init__(self) -> None:
        takes = arguments(SCHEDULERS, self.name, "scheduler.name")
        own = {key: value for key, value in takes.items() if key not in ("optimizer", "last_epoch")}
        check_arguments(f"{SCHEDULERS}{self.name}", own, self.options, "scheduler.options")

    def __call__(self, optimizer: torch.optim.Optimizer, total_steps: int, greater_is_better: bool) -> LRScheduler:
        """Raises ExpError for a value that torch refuses."""
        from torch.optim import lr_scheduler

        direction = {"mode": "max" if greater_is_better else "min"} if self.name == "ReduceLROnPlateau" else {}
        return _made(getattr(lr_scheduler, self.name), optimizer, {**direction, **self.options}, "scheduler")


def by_target(target: str, values: Mapping[str, Any], where: str) -> tuple[type, dict[str, Any]] | None:
    """`_target_: torch.optim.RAdam` with flat keys as the option that it stands for; None for another target.

    Keys of exp's own (layer_decay, decay_to_init, groups) may be left out, and are off then.
    """
    if where == "scheduler" and target.startswith(SCHEDULERS):
        return ByNameScheduler, {"name": target.removeprefix(SCHEDULERS), "options": dict(values)}
    if where != "optimizer" or not target.startswith(OPTIMIZERS) or target.startswith(SCHEDULERS):
        return None
    own = {"weight_decay": 0.0, "layer_decay": 1.0, "decay_to_init": 0.0, "groups": []}
    common = {key: value for key, value in values.items() if key in own or key == "lr"}
    options = {key: value for key, value in values.items() if key not in common}
    return ByNameOptimizer, {**own, **common, "name": target.removeprefix(OPTIMIZERS), "options": options}


def check_arguments(name: str, takes: Mapping[str, Argument], given: Mapping[str, Any], where: str) -> None:
    """Raises ExpError for an argument that the class `name` does not take, that it needs, or of the wrong kind."""
    for key in given:
        if key not in takes:
            raise ExpError(f"{where}.{key}: {name} has no such argument{nearest(key, takes)}")
    for key, argument in takes.items():
        if argument.needed and key not in given:
            raise ExpError(f"{where}.{key} is not given, and {name} needs it")
    construct(make_dataclass("Arguments", [(key, takes[key].kind) for key in given]), given, where)


@cache
def arguments(prefix: str, name: str, where: str) -> dict[str, Argument]:
    """The arguments of torch's class `prefix + name`.

    Raises ExpError for a class that torch does not have or that neither loop can use.
    """
    return class_arguments(name, dict(_classes(prefix)), _UNFIT, prefix[:-1], where)


def class_arguments(
    name: str, files: Mapping[str, Path], unfit: Mapping[str, str], package: str, where: str = "optimizer.name"
) -> dict[str, Argument]:
    """The arguments of the class `name`, read off its source without importing it.

    Args:
        name: of the class.
        files: class name -> its source file.
        unfit: class name -> why neither loop can use it.
        package: that has the classes.
        where: the key that names the class.

    Raises:
        ExpError: the class is not there, or unfit.
    """
    if name in unfit:
        raise ExpError(f"{where}={name} cannot train a model here: {unfit[name]}")
    if name not in files:
        raise ExpError(f"{where}={name!r} is not in {package}{nearest(name, set(files) - set(unfit))}")
    tree = ast.parse(_block(files[name].read_text(encoding="utf-8"), name)).body[0]
    assert isinstance(tree, ast.ClassDef)
    start = next(item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
    plain = start.args.args[1:]
    defaults = [None] * (len(plain) - len(start.args.defaults)) + list(start.args.defaults)
    pairs = [*zip(plain, defaults, strict=True), *zip(start.args.kwonlyargs, start.args.kw_defaults, strict=True)]
    return {one.arg: Argument(_kind(one, default), default is None) for one, default in pairs}


def _kind(argument: ast.arg, default: ast.expr | None) -> Any:
    """The type of an argument where its name, its annotation or its default shows it; else Any."""
    if argument.arg in _RANGES:
        return _RANGES[argument.arg]
    annotation = ast.unparse(argument.annotation) if argument.annotation else ""
    if annotation in _ANNOTATIONS:
        return _ANNOTATIONS[annotation]
    try:
        return _kind_of(ast.literal_eval(default)) if default is not None else Any
    except ValueError:  # an expression
        return Any


def _kind_of(default: Any) -> Any:
    if isinstance(default, bool):
        return bool
    if isinstance(default, int | float):
        return float
    if isinstance(default, tuple) and default and all(_kind_of(item) is float for item in default):
        return tuple[(float,) * len(default)]  # type: ignore[misc]
    return Any


def _block(source: str, name: str) -> str:
    """The lines of one class, so that a long file need not be parsed."""
    lines = source.splitlines()
    first = next(number for number, line in enumerate(lines) if re.match(rf"class {name}\b", line))
    ends = (number for number in range(first + 1, len(lines)) if re.match(r"class |def |@", lines[number]))
    return "\n".join(lines[first : next(ends, len(lines))])


def _classes(prefix: str) -> Iterator[tuple[str, Path]]:
    """Name and source file of each public class."""
    found = importlib.util.find_spec("torch")  # looks for it without importing it
    assert found is not None and found.submodule_search_locations is not None, "torch is a requirement"
    folder = Path(next(iter(found.submodule_search_locations))) / "optim"
    if prefix == SCHEDULERS:
        file = folder / "lr_scheduler.py"
        for name in re.findall(r"^class ([A-Z]\w*)\(LRScheduler\)", file.read_text(encoding="utf-8"), re.M):
            yield name, file
        return
    exported = (folder / "__init__.py").read_text(encoding="utf-8")
    for module, name in re.findall(r"^from torch\.optim\.(\w+) import (\w+)", exported, re.M):
        if name != "Optimizer" and name[0].isupper():
            yield name, folder / f"{module}.py"


def _made(torch_class: Any, first: Any, options: Mapping[str, Any], group: str) -> Any:
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    try:
        return torch_class(first, **plain)
    except (TypeError, ValueError) as error:
        raise ExpError(f"{group}: torch.optim refuses {torch_class.__name__}({options}): {error}") from None
