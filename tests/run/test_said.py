"""Commands and paths as they are printed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from exp.config.grammar import word
from exp.run.said import command, counted, near


def test_a_printed_command_reads_back_as_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/exp/train.py"])
    words = ["a b", "it's", "${oc.env:M}", "x=[1,2]", "$(rm -rf /)", "ü"]
    assert shlex.split(command("train", *words)) == ["python", "-m", "exp.train", *words]
    monkeypatch.setattr(sys, "argv", ["exp train", "seed=1"])
    assert command("predict", "outputs/mine") == "exp predict outputs/mine"


def test_paths_are_short_where_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert near(tmp_path / "outputs" / "a") == "outputs/a" and near("outputs/a") == "outputs/a"
    assert near(tmp_path.parent) == str(tmp_path.parent)


def test_a_path_is_quoted_for_hydra_only_where_it_must_be() -> None:
    assert word("resume", "outputs/2026-11-20/a_b.c") == "resume=outputs/2026-11-20/a_b.c"
    for path in ("it's = [here]", 'a "b"', "${oc.env:HOME}", "a b\\"):
        (override,) = OverridesParser.create().parse_overrides([word("resume", path)])
        assert OmegaConf.create({"x": override.value()}).x == path
    assert word("resume", "a b") == 'resume="a b"'


def test_one_is_singular() -> None:
    assert [counted(n, "run") for n in (0, 1, 1200)] == ["0 runs", "1 run", "1,200 runs"]
    assert counted(2, "index", "indices") == "2 indices"
