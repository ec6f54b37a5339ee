"""exp explain, exp diff and exp completion: what a user asks before and after a run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from exp import completion, diff, explain
from exp.errors import ExpError
from tests.finished_runs import REVIEWS, copy_of, reviews_run


def test_a_key_is_explained() -> None:
    said = list(explain.explain("optimizer.momentum", ["optimizer=sgd", "optimizer.momentum=0.5"]))
    assert said[0] == "optimizer.momentum = 0.5"
    assert "Sutskever" in said[1] and said[2].strip().startswith("takes a number, 0 or more")
    assert "0.9 in " in said[3] and said[3].endswith("(optimizer/sgd)")
    assert said[-1] == "  0.5 on the command line"


def test_where_presets_set_a_key() -> None:
    said = list(explain.explain("num_train_epochs", ["experiment=mrpc_minilm", "data.path=x", "model.path=y"]))
    assert [line.rpartition("(")[2] for line in said if " in " in line and "(" in line][:2] == [
        "train)",
        "experiment/mrpc_minilm)",
    ]


def test_a_group_is_its_options() -> None:
    said = list(explain.explain("scheduler", []))
    assert said[0] == "scheduler=linear" and any(line.startswith("  cosine ") for line in said)
    assert next(explain.explain("hub.push", [])) == "hub.push = false"


def test_an_unknown_key_is_told_the_nearest() -> None:
    with pytest.raises(ExpError, match=r"optimizer\.lrr: no such key; did you mean 'optimizer\.lr'"):
        list(explain.explain("optimizer.lrr", []))


def test_two_runs_are_compared(tmp_path: Path) -> None:
    one, two = copy_of(reviews_run(), tmp_path / "one"), copy_of(reviews_run(), tmp_path / "two")
    same = list(diff.told([str(one), str(two)], False))
    assert [line for line in same if "equal" in line] == ["config: equal", "surroundings: equal", "results: equal"]
    record = (two / "run.json").read_text()
    (two / "run.json").write_text(record.replace('"lr": 0.001', '"lr": 0.002'))
    assert '"lr": 0.001' in record and "optimizer.lr=1e-3" in REVIEWS
    assert "  optimizer.lr  0.001 -> 0.002" in list(diff.told([str(one), str(two)], False))
    with pytest.raises(ExpError, match="holds no run"):
        list(diff.told([str(one), str(tmp_path)], False))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("exp tr", ["train"]),
        ("python -m exp.tr", ["exp.train"]),
        ("exp train optimizer=sg", ["optimizer=sgd"]),
        ("python -m exp.train tracker=none,wa", ["tracker=none,wandb"]),
        ("exp train optimizer=sgd optimizer.nes", ["optimizer.nesterov="]),
        ("exp train optimizer=sgd optimizer.nesterov=", ["optimizer.nesterov=false", "optimizer.nesterov=true"]),
        ("exp train optimizer.nes", []),
        ("exp explain optimizer.fus", ["optimizer.fused=", "optimizer.fused"]),
        ("exp sweep as", ["asha"]),
        ("exp diff out", ["outputs/a"]),
        ("exp train resume=", ["resume=outputs/a"]),
        ("exp compare basel", ["baseline="]),
        ("exp nothing ", []),
    ],
)
def test_what_may_come_next(line: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outputs" / "a").mkdir(parents=True)
    (tmp_path / "outputs" / "a" / "run.json").touch()
    monkeypatch.chdir(tmp_path)
    assert completion.answer(line) == (expected if line != "exp nothing " else sorted(completion.cli.COMMANDS))


@pytest.mark.parametrize("shell", completion.SCRIPTS)
def test_installed_by_one_command_and_only_once(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    place = completion.install(shell)
    assert completion.install(shell) == place and place.read_text() == completion.script(shell)
    starts = {"bash": ".bashrc", "zsh": ".zshrc"}
    if shell in starts:
        assert (tmp_path / starts[shell]).read_text() == f"source {place} # exp\n"


def test_bash_completes_after_the_equals_sign(tmp_path: Path) -> None:
    """Bash takes = for the end of a word; `python` keeps what it completed before for lines that are not exp's."""
    script = tmp_path / "script"
    ask = 'COMP_LINE="$1"; COMP_POINT=${#1}; COMP_WORDS=($1); _exp_complete "${COMP_WORDS[0]}"; echo "${COMPREPLY[*]}"'
    script.write_text(
        f"compopt() {{ :; }}\n{completion.BASH}\nask() {{ {ask}; }}\n"
        "PYTHON() { echo optimizer=sgd; }\nask 'exp train optimizer=sg'\nask 'python -m exp.train optimizer=s'\n"
        "ask 'python other.py o'\n"
    )
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.split("\n")[:3] == ["sgd", "sgd", ""]
