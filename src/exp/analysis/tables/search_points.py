"""The points of a search inside a table: every cell of a grid, or a fixed set of random draws."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

from annotated_types import Ge, Le

from exp.analysis.tables.schema import Search
from exp.errors import ExpError
from exp.metrics.key import Key
from exp.options.option import construct


@dataclass(frozen=True)
class Draws:
    draws: Annotated[int, Ge(1), Le(10_000)]
    seed: int
    space: dict[str, Any]


@dataclass(frozen=True)
class Between:
    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"low={self.low} has to be below high={self.high}{', and above 0' if self.log else ''}")


def read_search(node: Any, where: str) -> Search | None:
    """`{grid: {key: [..]}, select: metric}` or `{random: {draws, seed, space}, select: metric}`.

    A random draw is fixed by its seed, so that every machine and every start runs the same points.
    """
    if node is None:
        return None
    at = f"{where}: search"
    kinds = {"grid", "random"}
    if not isinstance(node, Mapping) or len(kinds & set(node)) != 1 or set(node) - kinds - {"select"}:
        raise ExpError(f"{at}: give either grid or random, and select where it is not the cell's own metric")
    select = node.get("select")
    if select is not None:
        select = str(Key.parse(str(select)))
    if select is not None and Key.of(select).kind != "eval":
        raise ExpError(f"{at}: select={select} is not of the dev split; its keys begin with eval")
    if "grid" in node:
        if not isinstance(node["grid"], Mapping):
            raise ExpError(f"{at}: grid has to be key: list of values, not {node['grid']!r}")
        lists = {str(key): _listed(values, f"{at}: {key}") for key, values in node["grid"].items()}
        points = tuple(
            tuple(f"{key}={value}" for key, value in zip(lists, values, strict=True))
            for values in product(*lists.values())
        )
        bounds = tuple(f"{key} in {{{', '.join(map(str, values))}}}" for key, values in lists.items())
        return Search("grid", points, bounds, select)
    if not isinstance(node["random"], Mapping):
        raise ExpError(f"{at}: random takes draws, seed and space, not {node['random']!r}")
    given: Draws = construct(Draws, node["random"], f"{at}.random")
    spaces = {key: _space(space, f"{at}: {key}") for key, space in given.space.items()}
    source = random.Random(given.seed)
    drawn = tuple(tuple(f"{key}={_draw(source, space)}" for key, space in spaces.items()) for _ in range(given.draws))
    if len(set(drawn)) < len(drawn):
        raise ExpError(f"{at}: {len(drawn)} draws hold a point twice; the space is too small, use grid")
    return Search("random", drawn, tuple(f"{key} {_said(space)}" for key, space in spaces.items()), select)


def _listed(values: Any, at: str) -> list[Any]:
    if not isinstance(values, list) or not values or len({str(value) for value in values}) < len(values):
        raise ExpError(f"{at} has to be a list of different values, not {values!r}")
    return values


def _space(space: Any, at: str) -> list[Any] | Between:
    if isinstance(space, list):
        return _listed(space, at)
    if not isinstance(space, Mapping):
        raise ExpError(f"{at} has to be a list, or low and high (and log: true), not {space!r}")
    found: Between = construct(Between, space, at)
    return found


def _draw(source: random.Random, space: list[Any] | Between) -> Any:
    if isinstance(space, list):
        return source.choice(space)
    if space.log:
        return float(f"{math.exp(source.uniform(math.log(space.low), math.log(space.high))):.4g}")
    return float(f"{source.uniform(space.low, space.high):.4g}")


def _said(space: list[Any] | Between) -> str:
    if isinstance(space, list):
        return f"in {{{', '.join(map(str, space))}}}"
    return f"{space.low} to {space.high}{', log-uniform' if space.log else ', uniform'}"
