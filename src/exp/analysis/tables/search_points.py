"""The points of a search inside a table: every cell of a grid, or a fixed set of random draws."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from itertools import product
from typing import Any

from exp.analysis.tables.schema import Search
from exp.errors import ExpError
from exp.metrics.key import Key


def read_search(node: Any, where: str) -> Search | None:
    """`{grid: {key: [..]}, select: metric}` or `{random: {draws, seed, space}, select: metric}`.

    A random draw is fixed by its seed, so that every machine and every start runs the same points.
    """
    if node is None:
        return None
    at = f"{where}: search"
    if (
        not isinstance(node, Mapping)
        or len({"grid", "random"} & set(node)) != 1
        or set(node)
        - {
            "grid",
            "random",
            "select",
        }
    ):
        raise ExpError(f"{at}: give either grid or random, and select where it is not the cell's own metric")
    select = node.get("select")
    if select is not None:
        select = str(Key.parse(select))
    if select is not None and Key.of(select).kind != "eval":
        raise ExpError(f"{at}: select={select} is not of the dev split; its keys begin with eval")
    if "grid" in node:
        lists = {str(key): _listed(values, f"{at}: {key}") for key, values in dict(node["grid"]).items()}
        points = tuple(
            tuple(f"{key}={value}" for key, value in zip(lists, values, strict=True))
            for values in product(*lists.values())
        )
        bounds = tuple(f"{key} in {{{', '.join(map(str, values))}}}" for key, values in lists.items())
        return Search("grid", points, bounds, select)
    given = dict(node["random"])
    if set(given) != {"draws", "seed", "space"}:
        raise ExpError(f"{at}: random takes draws, seed and space")
    source = random.Random(given["seed"])
    drawn = tuple(
        tuple(f"{key}={_draw(source, space, f'{at}: {key}')}" for key, space in dict(given["space"]).items())
        for _ in range(int(given["draws"]))
    )
    if len(set(drawn)) < len(drawn):
        raise ExpError(f"{at}: {len(drawn)} draws hold a point twice; the space is too small, use grid")
    return Search(
        "random", drawn, tuple(f"{key} {_said(space)}" for key, space in dict(given["space"]).items()), select
    )


def _listed(values: Any, at: str) -> list[Any]:
    if not isinstance(values, list) or not values or len({str(value) for value in values}) < len(values):
        raise ExpError(f"{at} has to be a list of different values, not {values!r}")
    return values


def _draw(source: random.Random, space: Any, at: str) -> Any:
    if isinstance(space, list):
        return source.choice(_listed(space, at))
    if not isinstance(space, Mapping) or not {"low", "high"} <= set(space) <= {"low", "high", "log"}:
        raise ExpError(f"{at} has to be a list, or low and high (and log: true), not {space!r}")
    low, high = float(space["low"]), float(space["high"])
    if space.get("log"):
        return float(f"{math.exp(source.uniform(math.log(low), math.log(high))):.4g}")
    return float(f"{source.uniform(low, high):.4g}")


def _said(space: Any) -> str:
    if isinstance(space, list):
        return f"in {{{', '.join(map(str, space))}}}"
    return f"{space['low']} to {space['high']}{', log-uniform' if space.get('log') else ', uniform'}"
