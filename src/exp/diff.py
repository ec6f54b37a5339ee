"""exp diff RUN RUN: how two runs differ, in their configs, code, packages and machines, and in their results."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from exp.analysis.run_data import RunData, read_run
from exp.options import arguments
from exp.options.arguments import Option
from exp.options.option import shown
from exp.run.differences import differences
from exp.run.exits import plain_exits
from exp.run.folder import read_record
from exp.run.identity import counts

GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="RUN",
    least=2,
    most=2,
    options={"all": Option("true: settings that change no number (trackers, paths) as well", arguments.switch, False)},
)
ABSENT = "-"


def told(places: Sequence[str], everything: bool) -> Iterator[str]:
    """The lines of the command. Raises ExpError for a folder that is no run."""
    folders = [Path(place).expanduser().resolve() for place in places]
    one, two = (read_run(folder) for folder in folders)
    records = [read_record(folder) for folder in folders]
    for label, run in zip("AB", (one, two), strict=True):
        yield f"{label}  {run.source}  {run.status}, seed {run.seed}, condition {run.condition}"
    yield from _block("config", _config(one, two, everything))
    yield from _block("surroundings", _surroundings(*records))
    yield from _block("results", _results(one, two))


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield ""
    yield f"{title}: equal" if not lines else title
    yield from (f"  {line}" for line in lines)


def _config(one: RunData, two: RunData, everything: bool) -> list[str]:
    keys = [
        key
        for key in dict.fromkeys([*one.config, *two.config])
        if one.config.get(key, ABSENT) != two.config.get(key, ABSENT) and (everything or key == "seed" or counts(key))
    ]
    width = max(map(len, keys), default=0)
    return [f"{key:<{width}}  {_of(one, key)} -> {_of(two, key)}" for key in keys]


def _of(run: RunData, key: str) -> str:
    return shown(run.config[key]) if key in run.config else ABSENT


def _surroundings(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    lines = [
        line.replace(" then, ", " -> ").removesuffix(" now") for line in differences(one, two) if " then, " in line
    ]
    diffs = [(record.get("git") or {}).get("diff") for record in (one, two)]
    for label, diff in zip("AB", diffs, strict=True):
        if diff and diffs[0] != diffs[1]:
            lines.append(f"code: {label} started from changes that were not committed (git.diff in its run.json)")
    contents = [{package["name"]: package for package in record.get("trusted", [])} for record in (one, two)]
    for name in dict.fromkeys([*contents[0], *contents[1]]):
        told = [_version(found.get(name)) for found in contents]
        if told[0] != told[1]:
            lines.append(f"your code {name}: {told[0]} -> {told[1]}")
    return lines


def _version(package: Mapping[str, Any] | None) -> str:
    return ABSENT if package is None else f"{package['version'] or 'no version'} ({package['content'][:8]})"


def _results(one: RunData, two: RunData) -> list[str]:
    keys = sorted({*one.best, *two.best})
    width = max(map(len, keys), default=0)
    lines = []
    for key in keys:
        values = [run.best[key].value if key in run.best else math.nan for run in (one, two)]
        change = values[1] - values[0]
        told = [ABSENT if math.isnan(value) else f"{value:.6g}" for value in values]
        if told[0] != told[1]:
            lines.append(
                f"best {key:<{width}}  {told[0]} -> {told[1]}" + ("" if math.isnan(change) else f"  ({change:+.3g})")
            )
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    with plain_exits():
        given = arguments.parse(sys.argv[1:] if argv is None else argv, GRAMMAR)
        for line in told(given.bare, given["all"]):
            print(line)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
