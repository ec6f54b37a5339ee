from __future__ import annotations

import json
import shutil
import sys
import types
from pathlib import Path

import pytest

from exp import cli
from tests.tracker.folders import leave_results, new_run


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


def test_alone_it_says_what_can_be_done_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def said() -> str:
        cli.main([])
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    assert "no runs here yet" in said() and "exp init myproject" in said()
    for name, status in (("2026-01-01", "completed"), ("2026-01-02", "interrupted")):
        run = new_run(tmp_path / "outputs" / name / "a run")
        if status == "completed":
            leave_results(run)
        run.finish(status)
    text = said()
    assert "the newest run, interrupted:" in text and "exp train resume='outputs/2026-01-02/a run'" in text
    shutil.rmtree(tmp_path / "outputs" / "2026-01-02")
    text = said()
    assert "completed, eval/accuracy 0.75:" in text and "exp predict 'outputs/2026-01-01/a run'" in text
    result = tmp_path / "outputs" / "2026-01-01" / "a run" / "result.json"
    found = json.loads(result.read_text())
    for objective in ({"name": "eval/accuracy", "value": None, "step": 0}, ...):  # nothing was measured
        told = {key: value for key, value in found.items() if key != "objective"}
        result.write_text(json.dumps(told if objective is ... else told | {"objective": objective}))
        assert "completed:" in said()
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").touch()
    (tmp_path / "pyproject.toml").write_text('[tool.exp]\nconf = "conf"\n')
    assert f"the project {tmp_path.name}:\n  exp train experiment=mine" in said()


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
