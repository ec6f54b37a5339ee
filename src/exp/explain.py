"""exp explain KEY: what a key of the config does, what it takes, its value, and where that is set.

exp explain optimizer.lr
exp explain optimizer.momentum optimizer=sgd     as a run with these words has it
exp explain scheduler                            a group: its options
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from exp.config.compose import Composer, composer
from exp.config.explain import known_keys, near_key
from exp.config.origins import files, written
from exp.config.targets import declaration
from exp.errors import ExpError
from exp.options.option import described, json_schema, ranges, shown
from exp.options.settings import RootSettings
from exp.run.exits import plain_exits

MOST_NAMED = 4  # options in a hint


def explain(key: str, words: Sequence[str]) -> Iterator[str]:
    """The lines of the command. Raises ExpError for a key that the config does not have."""
    with composer() as made:
        cfg = made.compose(words)
        node = OmegaConf.select(cfg, key)
        if key in made.groups() and isinstance(node, DictConfig | None):
            yield from _group(key, made, str(cfg.hydra.runtime.choices.get(key)))
            return
        if node is None and not _there(cfg, key):
            raise ExpError(
                f"{key}: no such key{_of_another_option(key, made) or near_key(key, known_keys(words, made))}"
            )
        places = [(name, found) for name, path, package in files(made, words) if (found := written(path, key, package))]
        yield f"{key} = {shown(OmegaConf.to_container(node) if OmegaConf.is_config(node) else node)}"
        for comment in dict.fromkeys(found.comment for _, found in places if found.comment):
            yield f"  {comment}"
        schema = _schema(cfg, key)
        if schema:
            yield f"  takes {described(schema)}{ranges(schema)}"
        for name, found in places:
            yield f"  {found.value} in {_near(found.path)}:{found.line} ({name})"
        for word in words:
            if word.lstrip("+").startswith(f"{key}="):
                yield f"  {word.partition('=')[2]} on the command line"


def _of_another_option(key: str, made: Composer) -> str:
    """Names the options that would bring the key; "" where none does."""
    group, *between = key.split(".")
    if not between:
        return ""
    leaf = between.pop()
    line = re.compile(rf"^{re.escape(leaf)}\s*:", re.MULTILINE)
    files = [path for folder in made.path for path in sorted((folder / group).glob("*.yaml"))]
    options = [path.stem for path in files if line.search(path.read_text(encoding="utf-8"))]
    named = [option for option in options if option in between] or options
    words = [f"{group}={option}" for option in named[:MOST_NAMED]]
    return f" here; it comes with {' or '.join(words)}, e.g. exp explain {key} {words[0]}" if words else ""


def _group(group: str, made: Composer, chosen: str) -> Iterator[str]:
    """Each option with the first line of its YAML."""
    yield f"{group}={chosen}"
    for folder in made.path:
        for path in sorted((folder / group).glob("*.yaml")):
            lines = path.read_text(encoding="utf-8").splitlines()
            first = next((line[2:] for line in lines if line.startswith("# ") and "@package" not in line), "")
            yield f"  {path.stem:<20} {first}"


def _there(cfg: DictConfig, key: str) -> bool:
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    return OmegaConf.is_config(node) and leaf in node


def _schema(cfg: DictConfig, key: str) -> Mapping[str, Any] | None:
    """Of the key's declaration: in the settings, or in the option that it belongs to."""
    properties: Mapping[str, Any] = json_schema(RootSettings)["properties"]
    if key in properties:
        found: Mapping[str, Any] = properties[key]
        return found
    place, _, leaf = key.rpartition(".")
    node = OmegaConf.select(cfg, place) if place else None
    if not isinstance(node, DictConfig) or "_target_" not in node:
        return None
    plain: Any = OmegaConf.to_container(node, resolve=False)
    of_option: Mapping[str, Any] = json_schema(declaration(plain, place)).get("properties", {})
    return of_option.get(leaf)


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    with plain_exits():
        keys = [word for word in given if "=" not in word]
        if {"-h", "--help"} & set(given):
            print((__doc__ or "").strip())
            return 0
        if flags := [word for word in given if word.startswith("-")]:
            raise ExpError(f"{flags[0]}: no such flag; give a key, and words as for exp train")
        if "" in keys:
            raise ExpError("a KEY is empty; leave the word out")
        if not keys:
            raise ExpError("KEY is not given, e.g. optimizer.lr; --help says what this command takes")
        for key in keys:
            for line in explain(key, [word for word in given if "=" in word]):
                print(line)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
