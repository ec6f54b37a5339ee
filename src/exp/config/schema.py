"""JSON schemas of the config and of each group's options, for editors: types, ranges, choices and the YAMLs' comments.

An option's schema comes from the declaration that checks it. Schemas are in draft 7, which VS Code's YAML extension
reads.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from exp.config.targets import declaration
from exp.errors import ExpError, nearest
from exp.options.confdir import conf_dir, groups
from exp.options.option import json_schema
from exp.options.project import conf_folders
from exp.options.settings import RootSettings

log = logging.getLogger(__name__)
DRAFT = "http://json-schema.org/draft-07/schema#"
CONFIG = "config"
PRESETS = ("experiment", "sweep", "recipe", "table", "hydra")  # groups of whole configs, not of options
# Filled in by Hydra: an interpolation, or a value that must be given.
LATER = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
INHERITS = {"defaults": {"type": "array", "description": "Options that this one is made of."}}
# An option's class may take arguments by name, which no YAML can leave open.
EXAMPLES = {"ByNameOptimizer": "SGD", "ByNameScheduler": "ConstantLR"}


def schemas() -> dict[str, dict[str, Any]]:
    """Of the whole config, under CONFIG, and of each group that has options, under its name."""
    found = {group: group_schema(group) for group in known_groups()}
    return {CONFIG: config_schema(list(found)), **found}


def known_groups() -> list[str]:
    """Groups that have options, here or in the project and its packages."""
    own = {path.name for folder in conf_folders() for path in folder.iterdir() if any(path.glob("*.yaml"))}
    outside = [group for group in sorted(own - set(groups())) if any(_options(group))]
    return [group for group in [*groups(), *outside] if group not in PRESETS]


def config_schema(of_groups: list[str]) -> dict[str, Any]:
    """Of conf/train.yaml, of presets and of a run's saved config. Refers to the groups' schemas in the same folder."""
    path = conf_dir() / "train.yaml"
    comments = comments_of(path)
    node = yaml.safe_load(path.read_text(encoding="utf-8"))
    inner: dict[str, Any] = {group: {"$ref": f"{group}.json"} for group in of_groups}
    for several in ("tracker", "callbacks"):
        inner[several] = {"type": "object", "additionalProperties": {"$ref": f"{several}.json"}}
    inner |= {key: _option(value, key, {}) for key, value in node.items() if _is_option(value)}
    return {
        "$schema": DRAFT,
        "title": "A config of exp",
        "type": "object",
        "properties": {
            **INHERITS,
            "hydra": {"type": "object", "description": "Hydra's own settings."},
            **_properties(json_schema(RootSettings), comments),
            **inner,
        },
        "additionalProperties": False,
    }


def group_schema(group: str) -> dict[str, Any]:
    """Of any YAML in conf/<group>/: which keys it may have follows from its `_target_`."""
    by_target: dict[str, dict[str, Any]] = {}
    for path, node, comments in _options(group):
        try:
            by_target.setdefault(node["_target_"], _option(node, place(path, group), comments))
        except ExpError as error:
            if conf_dir() in path.parents:
                raise
            log.warning("%s is left out: %s", path, error)  # a user's part that is not finished yet
    names = {target: target.rpartition(".")[2] for target in by_target}
    return {
        "$schema": DRAFT,
        "title": f"An option of the group {group}",
        "type": "object",
        "properties": {"_target_": {"type": "string", "examples": sorted(by_target)}},
        "allOf": [
            {
                "if": {"properties": {"_target_": {"const": target}}, "required": ["_target_"]},
                "then": {"$ref": f"#/definitions/{names[target]}"},
            }
            for target in sorted(by_target)
        ],
        "definitions": {names[target]: by_target[target] for target in sorted(by_target)},
    }


def option_schema(group: str, name: str) -> dict[str, Any]:
    """Of one option's YAML. Raises ExpError where there is none."""
    found = {path.stem: (path, node, comments) for path, node, comments in _options(group)}
    if name not in found:
        raise ExpError(f"{group}/{name}: no such option{nearest(name, found)}")
    path, node, comments = found[name]
    return {"$schema": DRAFT, "title": f"{group}={name}", **_option(node, place(path, group), comments)}


def _option(node: Mapping[str, Any], where: str, comments: Mapping[str, str]) -> dict[str, Any]:
    declared = declaration(_example(node), where)
    schema = json_schema(declared)
    required = sorted(schema.get("required", ()))
    return {
        "type": "object",
        "description": _first_paragraph(declared),
        "properties": {**INHERITS, "_target_": {"const": node["_target_"]}, **_properties(schema, comments)},
        "additionalProperties": False,
        # A YAML that is made of others leaves keys to them.
        **({"anyOf": [{"required": ["defaults"]}, {"required": required}]} if required else {}),
    }


def _example(node: Mapping[str, Any]) -> dict[str, Any]:
    """The node as its declaration is looked up: only the keys count."""
    name = EXAMPLES.get(str(node["_target_"]).rpartition(".")[2])
    return {**node, "name": name} if name else dict(node)


def _properties(schema: Mapping[str, Any], comments: Mapping[str, str]) -> dict[str, Any]:
    return {
        key: {"anyOf": [*_draft7(one.get("anyOf", [one])), LATER], "description": comments.get(key, "")}
        for key, one in schema.get("properties", {}).items()
    }


def _draft7(node: Any) -> Any:
    """Draft 2020 calls the items of a tuple `prefixItems`."""
    if isinstance(node, list):
        return [_draft7(item) for item in node]
    if isinstance(node, dict):
        return {{"prefixItems": "items"}.get(key, key): _draft7(value) for key, value in node.items()}
    return node


def _options(group: str) -> Iterator[tuple[Path, dict[str, Any], dict[str, str]]]:
    """Path, content and comments of each YAML in conf/<group>/ that names a class or function.

    Raises ExpError for one of a user's that cannot be read.
    """
    for folder in dict.fromkeys((conf_dir(), *conf_folders())):
        for path in sorted((folder / group).glob("*.yaml")):
            try:
                node = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (UnicodeDecodeError, yaml.YAMLError) as error:
                raise ExpError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
            if _is_option(node):
                yield path, node, comments_of(path)


def place(path: Path, group: str) -> str:
    """Where the option stands in a config: in its group's node, or where its YAML's package header says."""
    with path.open(encoding="utf-8") as file:
        header = re.match(r"# @package ([\w.]+)", file.readline())
    return header[1] if header and header[1] != "_global_" else group.replace("/", ".")


def _is_option(node: Any) -> bool:
    return isinstance(node, dict) and "_target_" in node


def comments_of(path: Path) -> dict[str, str]:
    """What a YAML says of each top-level key: the lines above it and behind it."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        key = re.match(r"(\w+):", line)
        behind = re.search(r"\s# (.*)$", line)
        if line.startswith("# "):
            above.append(line[2:])
            continue
        if key:
            found[key[1]] = " ".join([*above, *([behind[1]] if behind else [])])
        above = []
    return found


def _first_paragraph(declared: type) -> str:
    text = inspect.getdoc(declared) or ""
    return "" if text.startswith(f"{declared.__name__}(") else " ".join(text.partition("\n\n")[0].split())
