"""Where each key of a composed config comes from: the YAMLs in the order in which they count, with line and comment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from hydra.types import RunMode

from exp.config.compose import Composer


@dataclass(frozen=True)
class Written:
    """One place that gives a key a value. `comment` is what the YAML says of the key, above its line and behind it."""

    path: Path
    line: int
    value: str  # as it is written
    comment: str


def files(made: Composer, words: Sequence[str]) -> Iterator[tuple[str, Path, str]]:
    """Option (optimizer/adamw), its file and the place of its keys in the config, in the order in which they count."""
    words = made.with_defaults(words)
    for default in made.loader.compute_defaults_list(made.name, list(words), RunMode.RUN).defaults:
        name = default.config_path or ""
        found = next((path for folder in made.path if (path := folder / f"{name}.yaml").is_file()), None)
        if found is not None and not name.startswith("hydra/"):
            yield name, found, default.package or ""


def written(path: Path, key: str, package: str) -> Written | None:
    """What the file says of the dotted `key`; None where it says nothing. `package`: the place of the file's keys."""
    if package:
        if not key.startswith(f"{package}."):
            return None
        key = key[len(package) + 1 :]
    text = path.read_text(encoding="utf-8")
    node = yaml.compose(text, yaml.SafeLoader)
    if node is None:
        return None
    line = -1
    for part in key.split("."):
        if not isinstance(node, yaml.MappingNode):
            return None
        found = next(((name, value) for name, value in node.value if name.value == part), None)
        if found is None:
            return None
        line, node = found[0].start_mark.line, found[1]
    lines = text.splitlines()
    value = " ".join(text[node.start_mark.index : node.end_mark.index].split())
    return Written(path, line + 1, value, _comment(lines, line))


def _comment(lines: Sequence[str], at: int) -> str:
    above: list[str] = []
    for line in reversed(lines[:at]):
        if not line.strip().startswith("# ") or line.startswith("# @package"):
            break
        above.insert(0, line.strip()[2:])
    behind = re.search(r"\s# (.*)$", lines[at])
    return " ".join([*above, *([behind[1]] if behind else [])])
