"""Filters: `optimizer.lr<1e-4`, `status=completed`, `model~bert`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from exp.analysis.run_data import RunData
from exp.errors import ExpError, nearest
from exp.run.option_name import option_name

PATTERN = re.compile(r"^\s*(?P<key>[^<>=!~]+?)\s*(?P<sign><=|>=|!=|==|=|<|>|~)\s*(?P<value>.*?)\s*$")
FIELDS = ("id", "condition", "seed", "group", "task", "status", "source", "objective")
MISSING = object()

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def keep(runs: list[RunData], filters: Iterable[str]) -> list[RunData]:
    """Runs that pass every filter; raises ExpError for one that cannot be read or names an unknown key."""
    for text in filters:
        if runs:
            passes = _passes(text, runs)
            runs = [run for run in runs if passes(run)]
    return runs


def value_of(run: RunData, key: str) -> Any:
    """A field, a config key, a metric (its best value), or MISSING."""
    if key in FIELDS:
        return getattr(run, key)
    if key in run.config:
        return run.config[key]
    for name in (key, f"eval/{key}"):
        if name in run.best:
            return run.best[name].value
    if f"{key}._target_" in run.config:
        return option_name(key, run.config[f"{key}._target_"])
    return MISSING


def plain(value: Any) -> str:
    """As people write it: 1e-4, null, [0.9, 0.98]."""
    if isinstance(value, float):
        if 0 < abs(value) < 1e-3:
            digits, _, power = f"{value:.5e}".partition("e")
            return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
        return f"{value:g}"
    if value is None:
        return "null"
    if isinstance(value, list):
        return "[" + ", ".join(plain(item) for item in value) + "]"
    return str(value)


def _passes(text: str, runs: list[RunData]) -> Callable[[RunData], bool]:
    found = PATTERN.match(text)
    if not found:
        raise ExpError(f"cannot read the filter {text!r}; write it as 'optimizer.lr<1e-4' (< <= > >= = != ~)")
    key, sign, raw = found["key"], found["sign"], found["value"].strip("'\"")
    if all(value_of(run, key) is MISSING for run in runs):
        known = {name for run in runs for name in (*run.config, *run.best)} | set(FIELDS)
        raise ExpError(f"no run has {key!r}{nearest(key, known)}")

    def passes(run: RunData) -> bool:
        value = value_of(run, key)
        if value is MISSING:
            return False
        if sign == "~":
            return raw.lower() in str(value).lower()
        if sign in COMPARE:
            number, bound = _number(value), _number(raw)
            if bound is None:
                raise ExpError(f"the filter {text!r} compares with {raw!r}, which is no number")
            return number is not None and COMPARE[sign](number, bound)
        # model=pretrained is what the command line said; the config knows model._target_: ...Pretrained.
        same = _equal(value, raw) or (key not in run.config and str(value).lower() == raw.lower())
        return same == (sign != "!=")

    return passes


def _equal(value: Any, raw: str) -> bool:
    if value is None:
        return raw.lower() in ("null", "none", "")
    if isinstance(value, bool):
        return raw.lower() == str(value).lower()
    number, bound = _number(value), _number(raw)
    if number is not None and bound is not None:
        return number == bound
    return str(value) == raw


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
