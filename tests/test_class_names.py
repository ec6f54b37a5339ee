"""One class name means one class in the whole house."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import exp

SOURCES = Path(exp.__file__).parents[1]


def test_every_class_name_stands_once() -> None:
    places = defaultdict(list)
    for root in ("exp", "hydra_plugins/exp_study"):
        for path in sorted((SOURCES / root).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(path.relative_to(SOURCES).as_posix())
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not twice, f"classes of one name: rename all but one ({twice})"
