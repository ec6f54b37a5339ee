"""From a YAML file to a PaperTable. Every mistake in the file is reported here, with the cell's name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from exp.analysis.tables.schema import (
    AGGREGATES,
    OVERS,
    SEEDS,
    SOURCE,
    SPLITS,
    UNITS,
    USES,
    Cell,
    PaperColumn,
    PaperRow,
    PaperTable,
    Published,
    VerdictRules,
    label,
)
from exp.analysis.tables.search_points import read_search
from exp.analysis.tables.strict_yaml import mapping, read_yaml
from exp.config.compose import search_path
from exp.errors import ExpError, nearest
from exp.metrics.key import Key
from exp.metrics.names import is_known, spec
from exp.options.option import construct

NEEDED = ("title", "source", "split", "seeds", "rows", "columns")
# What a table file may leave out, and what that means.
OPTIONAL: dict[str, Any] = {
    "unit": "percent",
    "aggregate": "mean",
    "use": "last",  # the final model, as papers report where they say nothing else
    "overrides": [],
    "search": None,
    "published": {},
    "published_n": None,
    "unverified": False,
    "cells": {},
    "tolerance": None,
    "min_seeds": 3,  # a standard deviation of two values is off by a factor of two more often than not
    "over": VerdictRules.over,
    "widest": 3.0,  # points; a wider prediction interval would call nearly anything reproduced
    "notes": [],
}
PREFIX = {"dev": "eval", "test": "test", "test_server": "test"}


def names(config_dir: Path | None = None) -> list[str]:
    """Tables in table/ of every folder on the search path."""
    return sorted({path.stem for folder in search_path(config_dir) for path in (folder / "table").glob("*.yaml")})


def find(name: str, config_dir: Path | None = None) -> Path:
    """`name` is a file of table/ on the search path, or the path of a YAML of your own."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise ExpError(f"table={name}: no such file")
        return path
    known = names(config_dir)
    if name not in known:
        raise ExpError(f"table={name}: there is no such table{nearest(name, known)}")
    files = (folder / "table" / f"{name}.yaml" for folder in search_path(config_dir))
    return next(file for file in files if file.is_file())


def title(name: str) -> str:
    """Of a table on the search path; of one that cannot be read, why."""
    try:
        return str(read_yaml(find(name)).get("title", "no title"))
    except ExpError as error:
        return str(error)


def load(
    name: str,
    seeds: Any = None,
    added: Mapping[str, Sequence[str]] | None = None,
    config_dir: Path | None = None,
    over: str | None = None,
) -> PaperTable:
    """`seeds` and `over` replace the file's; `added` holds overrides by "" (all) or the name of a row or column."""
    path = find(name, config_dir)
    raw = read_yaml(path)
    where = f"table {path.stem}"
    _keys(raw, {*NEEDED, *OPTIONAL}, where)
    for key in NEEDED:
        if raw.get(key) is None:
            raise ExpError(f"{where}: {key} is missing")
    raw = OPTIONAL | {key: value for key, value in raw.items() if value is not None}
    raw |= {} if over is None else {"over": over}
    choices = {"split": SPLITS, "unit": tuple(UNITS), "aggregate": AGGREGATES, "use": USES, "over": OVERS}
    for key, known in choices.items():
        if raw[key] not in known:
            raise ExpError(f"{where}: {key}={raw[key]} is no such choice{nearest(str(raw[key]), known)}")
    rows = tuple(_row(name, value, where) for name, value in mapping(raw["rows"], f"{where}: rows").items())
    columns = tuple(
        _column(name, value, raw["split"], where)
        for name, value in mapping(raw["columns"], f"{where}: columns").items()
    )
    source = mapping(raw["source"], f"{where}: source")
    _keys(source, set(SOURCE), f"{where}: source")
    _same_split(source, raw["split"], where)
    _no_cycle(columns, where)
    given = {key: tuple(words) for key, words in (added or {}).items()}
    _keys(given, {"", *(row.name for row in rows), *(column.name for column in columns)}, f"{where}: overrides.")
    table = PaperTable(
        name=path.stem,
        title=str(raw["title"]),
        source=source,
        split=raw["split"],
        unit=raw["unit"],
        aggregate=raw["aggregate"],
        use=raw["use"],
        seeds=_seeds(raw["seeds"] if seeds is None else seeds, where),
        overrides=_words(raw["overrides"], f"{where}: overrides"),
        search=read_search(raw["search"], where),
        rows=rows,
        columns=columns,
        cells=_cells(raw, rows, columns, where),
        judging=VerdictRules(
            None if raw["tolerance"] is None else _number(raw["tolerance"], f"{where}: tolerance"),
            int(_number(raw["min_seeds"], f"{where}: min_seeds", whole=True)),
            _number(raw["widest"], f"{where}: widest"),
            raw["over"],
        ),
        notes=tuple(_texts(raw["notes"], f"{where}: notes")),
        added=given,
        config_dir=config_dir.resolve() if config_dir else None,
    )
    _in_range(table)
    return table


def _row(name: Any, value: Any, where: str) -> PaperRow:
    node = mapping(value or {}, f"{where}: row {name}")
    _keys(node, {"overrides"}, f"{where}: row {name}")
    return PaperRow(str(name), _words(node.get("overrides") or [], f"{where}: row {name}"))


def _column(name: Any, value: Any, split: str, where: str) -> PaperColumn:
    at = f"{where}: column {name}"
    node = mapping(value or {}, at)
    _keys(node, {"overrides", "metric", "epoch", "start_from"}, at)
    if "metric" not in node:
        raise ExpError(f"{at}: metric is missing")
    metric = node["metric"]
    if not isinstance(metric, str):
        raise ExpError(f"{at}: metric has to be a text, not {metric!r}")
    prefix = PREFIX[split]
    key = Key.of(metric) if "/" in metric else Key(prefix, metric)
    if key.kind != prefix:
        raise ExpError(f"{at}: metric {metric} is not of the split {split}; its keys begin with {prefix}")
    words = _words(node.get("overrides") or [], at)
    said = {"epoch": node.get("epoch"), "start_from": node.get("start_from")}
    column: PaperColumn = construct(PaperColumn, {"name": name, "overrides": words, "metric": str(key), **said}, at)
    return column


def _cells(
    raw: Mapping[str, Any], rows: Sequence[PaperRow], columns: Sequence[PaperColumn], where: str
) -> dict[tuple[str, str], Cell]:
    """Published values and what is said of single cells, by (row, column)."""
    of_rows, of_columns = {row.name for row in rows}, {column.name for column in columns}
    published: dict[tuple[str, str], Published] = {}
    for row, values in mapping(raw["published"], f"{where}: published").items():
        _keys({row: 0}, of_rows, f"{where}: published")
        for column, value in mapping(values, f"{where}: published {row}").items():
            _keys({column: 0}, of_columns, f"{where}: published {row}")
            published[row, column] = _published(value, raw, f"{where}: cell {label(row, column)}")
    cells = {key: Cell(published=value) for key, value in published.items()}
    for name, value in mapping(raw["cells"], f"{where}: cells").items():
        at = f"{where}: cell {name}"
        found = [(r, c) for r in of_rows for c in of_columns if label(r, c) == name]
        if not found:
            known = [label(row.name, column.name) for row in rows for column in columns]
            raise ExpError(f"{at}: the table has no such cell{nearest(str(name), known)}")
        node = mapping(value, at)
        _keys(node, {"overrides", "published", "tolerance", "skip"}, at)
        if "published" in node and found[0] in published:
            raise ExpError(f"{at}: its published value stands twice, here and under published")
        words = _words(node.get("overrides") or [], at)
        said = {"tolerance": node.get("tolerance"), "skip": node.get("skip") or False}
        cells[found[0]] = replace(
            construct(Cell, {"overrides": words, **said}, at),
            published=_published(node["published"], raw, at) if "published" in node else published.get(found[0]),
        )
    return cells


def _published(value: Any, raw: Mapping[str, Any], at: str) -> Published:
    node = {"value": value} if isinstance(value, int | float) else mapping(value, f"{at}: published")
    _keys(node, {"value", "std", "n", "median", "max", "exact", "unverified", "split"}, f"{at}: published")
    if "value" not in node:
        raise ExpError(f"{at}: published needs a number as value")
    _same_split({"split": node.pop("split", raw["split"])}, raw["split"], at)
    found: Published = construct(
        Published, {"n": raw["published_n"], "unverified": raw["unverified"], **node}, f"{at}: published"
    )
    return found


def _same_split(source: Mapping[str, Any], ours: str, at: str) -> None:
    theirs = source.get("split", ours)
    if theirs not in SPLITS:
        raise ExpError(f"{at}: source.split={theirs} is no such choice{nearest(str(theirs), SPLITS)}")
    if theirs != ours:
        raise ExpError(
            f"{at}: the published value is of the split {theirs}, ours of {ours}; two splits cannot be compared. "
            f"Scores of the test server come from a submission (exp.predict), never from a local run"
        )


def _no_cycle(columns: Sequence[PaperColumn], where: str) -> None:
    after = {column.name: column.start_from for column in columns}
    for name, first in after.items():
        if first is not None and first not in after:
            raise ExpError(f"{where}: column {name} starts from {first}, which is no column{nearest(first, after)}")
        seen, at = [name], first
        while at is not None:
            if at in seen:
                raise ExpError(f"{where}: columns start from each other in a circle: {' <- '.join([*seen, at])}")
            seen.append(at)
            at = after[at]


def _seeds(value: Any, where: str) -> tuple[dict[str, int], ...]:
    """A list of seeds, or lists by the name of a seed, whose every combination is run."""
    named = value if isinstance(value, Mapping) else {"seed": value}
    _keys(named, set(SEEDS), f"{where}: seeds")
    if not named:
        raise ExpError(f"{where}: seeds is empty; give a list of seeds, or lists by the name of a seed")
    for name, listed in named.items():
        if not isinstance(listed, list) or not listed or not all(type(seed) is int and seed >= 0 for seed in listed):
            raise ExpError(f"{where}: seeds has to be a list of whole numbers, not {listed!r}")
        twice = sorted({seed for seed in listed if listed.count(seed) > 1})
        if twice:
            raise ExpError(f"{where}: {name} {twice[0]} is repeated; the same run twice says nothing new")
    return tuple(dict(zip(named, values, strict=True)) for values in product(*named.values()))


def _in_range(table: PaperTable) -> None:
    for (row, column), cell in table.cells.items():
        if cell.published is None:
            continue
        name = Key.of(table.column(column).metric).name
        if not is_known(name):  # an outside metric has no range that we know
            continue
        limits = spec(name)
        for what in ("value", "median", "max"):
            given = getattr(cell.published, what)
            if given is not None and not limits.lowest <= given / table.scale <= limits.highest:
                raise ExpError(
                    f"table {table.name}: cell {label(row, column)}: published {what} {given} is out of the range of "
                    f"{name}, {limits.lowest * table.scale:g} to {limits.highest * table.scale:g}"
                )


def _number(value: Any, where: str, whole: bool = False) -> float:
    good = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or value < 0:
        raise ExpError(f"{where}: has to be a {'whole ' if whole else ''}number, 0 or more, not {value!r}")
    return float(value)


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ExpError(f"{where}: has to be a list of texts, not {value!r}")
    return value


def _words(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) and "=" in word for word in value):
        raise ExpError(f"{where}: overrides has to be a list of key=value, not {value!r}")
    return tuple(value)


def _keys(node: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in node:
        if key not in known:
            raise ExpError(f"{where}: {key}: no such word{nearest(str(key), known - {''})}")
