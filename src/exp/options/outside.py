"""Parts that no config chooses: every YAML of one group in the project's conf/ and in those of trusted packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from exp.errors import ExpError
from exp.options import trust
from exp.options.calls import METHODS, check_function, check_methods
from exp.options.option import construct
from exp.options.project import conf_folders


def parts(group: str) -> Mapping[str, Any]:
    """Name of each YAML in conf/<group>/ -> the option that it makes, or the function that it names.

    Args:
        group: One of `trust.OUTSIDE`; exp has no option of it.

    Raises:
        ExpError: A YAML names nothing that is trusted, or a key or value does not fit; two YAMLs have one name.
    """
    return _parts(group, tuple(conf_folders()))


@lru_cache
def _parts(group: str, folders: tuple[Path, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    files: dict[str, Path] = {}
    for path in (path for folder in folders for path in sorted((folder / group).glob("*.yaml"))):
        if path.stem in files:
            raise ExpError(f"{group}={path.stem} is in {files[path.stem]} and in {path}: rename one of them")
        files[path.stem] = path
        found[path.stem] = _made(path, group)
    return found


def _made(path: Path, group: str) -> Any:
    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ExpError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(node, dict) or "_target_" not in node:
        raise ExpError(f"{path} names no part: it needs _target_: my_pkg.module.Name")
    target = trust.resolve(node.pop("_target_"), group)
    if isinstance(target, type) and is_dataclass(target):
        check_methods(target, group)
        return construct(target, node, group)
    if node:
        raise ExpError(f"{path}: {', '.join(node)}: only a dataclass takes keys, and {target.__name__} is none")
    if not isinstance(target, type):
        check_function(target, METHODS[group]["__call__"], f"{group}={path.stem}: {path}")
    return target
