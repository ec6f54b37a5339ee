from __future__ import annotations

import sys
import types

import pytest

from exp import cli


def words_of(command: str, *words: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """sys.argv as the command's own main sees it."""
    seen: list[str] = []
    module = types.ModuleType("stand_in")
    module.main = lambda: seen.extend(sys.argv)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stand_in", module)
    monkeypatch.setitem(cli.COMMANDS, command, ("stand_in", ""))
    monkeypatch.setattr(sys, "argv", ["exp"])
    cli.main([command, *words])
    return seen


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {command} " in text for command in cli.COMMANDS)


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        cli.main(["trian"])
    assert ending.value.code == 2
    assert "trian: no such command; did you mean 'train'" in capsys.readouterr().err


def test_words_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert words_of("train", "seed=1", monkeypatch=monkeypatch) == ["exp train", "seed=1"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["lr", "optimizer=sgd"], ["--multirun", "sweep=lr", "optimizer=sgd"]),
        (["lr", "--cfg", "job"], ["sweep=lr", "--cfg", "job"]),
        (["seed=1,2"], ["--multirun", "seed=1,2"]),
        (["--help"], ["--help"]),
    ],
)
def test_sweep_is_train_with_multirun(monkeypatch: pytest.MonkeyPatch, words: list[str], expected: list[str]) -> None:
    assert words_of("sweep", *words, monkeypatch=monkeypatch) == ["exp sweep", *expected]


def test_a_command_whose_module_is_missing_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "table", ("exp.no_such_module", ""))
    with pytest.raises(SystemExit):
        cli.main(["table"])
    assert "table is not part of this installation" in capsys.readouterr().err
