"""A user's own metric in `task.metrics`: a function of a trusted package, or a local `evaluate` module.

A function is named by its dotted path, `my_pkg.metrics.cost`, and has the signature

    cost(predictions, references) -> float | dict[str, float]

It gets what `exp.metrics.compute` gets, class names as their indices. An attribute says which way it gets better
(`cost.greater_is_better = False`); without it the name decides (`exp.metrics.names.greater_is_better`).

An `evaluate` module is named by the path of its file or folder (it must contain a slash or end in `.py`). It is code,
so the file must lie in the folder of a trusted package. Its name decides which way it gets better.

A metric is reported under the last part of its name (`cost`, the file's stem). The numbers of a dict are reported
under their own keys; where none of these is the metric's name, the first number stands under that name too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from exp.errors import ExpError

WHERE = "task.metrics"


def is_outside(name: str) -> bool:
    return "." in name or _is_path(name)


def short_name(name: str) -> str:
    """`cost` for my_pkg.metrics.cost, `exact` for metrics/exact.py; a built-in name is its own."""
    return Path(name).name.removesuffix(".py") if _is_path(name) else name.rpartition(".")[2]


def check(name: str) -> None:
    """Raises ExpError where the function is not there, not trusted or does not take (predictions, references)."""
    if _is_path(name):
        _module(name)
    else:
        _function(name)


def says(name: str) -> bool | None:
    """Whether greater is better, by the function's own attribute; None where it has none."""
    if _is_path(name):
        return None
    said = getattr(_function(name), "greater_is_better", None)
    return None if said is None else bool(said)


def compute(name: str, predictions: Any, references: Any) -> dict[str, float]:
    """The metric's numbers, its own name among them. Raises ExpError for a result that is no number."""
    if _is_path(name):
        import evaluate

        path = _module(name)
        module = evaluate.load(str(path), keep_in_memory=True)
        found = module.compute(predictions=predictions, references=references)
    else:
        found = _function(name)(predictions, references)
    short = short_name(name)
    numbers = _numbers(found if isinstance(found, Mapping) else {short: found})
    if not numbers:
        raise ExpError(f"{WHERE}: {name} returned {found!r}; it has to return a number, or a dict of numbers")
    return {short: numbers.get(short, next(iter(numbers.values()))), **numbers}


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(".py")


def _function(name: str) -> Callable[[Any, Any], Any]:
    from exp.options import trust
    from exp.options.calls import check_function

    found = trust.resolve(name, WHERE)
    if not callable(found):
        raise ExpError(f"{WHERE}: {name} is no function; write one that takes (predictions, references)")
    check_function(found, "predictions references", f"{WHERE}: {name}")
    return found  # type: ignore[no-any-return]


def _module(name: str) -> Path:
    """The trusted file or folder of an `evaluate` module."""
    given = Path(name).expanduser().resolve()
    file = given / f"{given.name}.py" if given.is_dir() else given
    if file.suffix != ".py" or not file.is_file():
        raise ExpError(f"{WHERE}: {name} is no evaluate module: there is no file {file}")
    if not any(file.is_relative_to(folder) for folder in _trusted_folders()):
        raise ExpError(
            f"{WHERE}: {name} is code, and lies in no trusted package; put it into your package and name that in "
            f'[tool.exp] trust = ["my_pkg"] of pyproject.toml, or in EXP_TRUST=my_pkg'
        )
    return given


def _trusted_folders() -> list[Path]:
    """Of whole packages: a trusted single module does not vouch for the files beside it."""
    from exp.options import project

    return [folder.resolve() for one in project.packages() for folder in one.folders]


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """Plain floats; a slash would end the set in `eval/<name>`. What is no single number (a list) is left out."""
    numbers = {}
    for key, value in found.items():
        try:
            numbers[str(key).replace("/", "_")] = float(value)
        except (TypeError, ValueError):
            continue
    return numbers
