"""YAML in which no key stands twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from exp.errors import ExpError


class _Strict(yaml.SafeLoader):
    """Refuses a key that appears twice: plain YAML silently keeps the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # PyYAML says what is wrong with it
            key = self.construct_object(key_node, deep=deep)  # type: ignore[no-untyped-call]
            if key in seen:
                raise ExpError(f"{self.name}: {key!r} stands twice (line {key_node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:
            return mapping(yaml.load(file, _Strict), str(path))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, ExpError):
            raise
        raise ExpError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ExpError(f"{path} is no table: its lists lie too deep in each other") from None


def mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ExpError(f"{where}: has to be key: value, with text as keys, not {value!r}")
    return dict(value)
