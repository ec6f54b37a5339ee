"""What a record of a run may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exp.run.identity import fingerprints
from exp.run.shape import RECORD, damaged


@pytest.mark.parametrize(
    ("chance", "where"),
    [
        ({"loss": 0.69, "metrics": {"accuracy": [0.68, 0.02]}}, None),
        ({"loss": None, "metrics": {}}, None),
        ({"a": 1}, "data.chance.loss"),
        ({"loss": 0.69}, "data.chance.metrics"),
        ({"loss": 0.69, "metrics": {"accuracy": [0.68]}}, "data.chance.metrics.accuracy"),
        ({"loss": 0.69, "metrics": {"accuracy": [0.68, "x"]}}, "data.chance.metrics.accuracy.1"),
    ],
)
def test_a_level_of_chance_is_whole(chance: dict[str, Any], where: str | None) -> None:
    assert damaged({"data": {"chance": chance}}, RECORD) == where


def test_a_key_may_name_several_files(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(name)
    paths = fingerprints({"data": {"path": str(tmp_path), "train_file": ["a.json", "b.json"]}}, tmp_path)
    assert len(paths["data.train_file"]) == 2
    assert damaged({"paths": paths}, RECORD) is None
