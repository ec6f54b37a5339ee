"""What a record of a run may hold."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_several_files_under_one_key_have_a_fingerprint_each() -> None:
    """data.train_file=[a.txt,b.txt]"""
    assert damaged({"paths": {"data.train_file": ["sha256:1", "sha256:2"], "data.path": None}}, RECORD) is None
    assert damaged({"paths": {"data.train_file": 3}}, RECORD) == "paths.data.train_file"
