"""exp completion: what may come next, and the shells that ask for it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exp import completion


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


# The keys that ask for the line as it stands, and empty it.
REPORT = {
    "bash": """report() { printf "%s" "$READLINE_LINE" > FILE; READLINE_LINE=""; }
bind -x '"\\C-x": report'
""",
    "zsh": """report() { print -rn -- "$BUFFER" > FILE; BUFFER="" }
zle -N report
bindkey "^X" report
""",
}
START = {"bash": ".bashrc", "zsh": ".zshrc"}
TYPED = {
    "exp tr": "exp train ",
    "python -m exp.train optimizer=sgd optimizer.nes": "python -m exp.train optimizer=sgd optimizer.nesterov=",
    "exp train tracker=none,w": "exp train tracker=none,wandb ",
    "exp diff out": "exp diff outputs/a ",
    "python oth": "python other.py ",  # as before: no line of exp's
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_python: str) -> Path:
    """One's home, and the folder in which one stands: it has a run."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR", "BASH_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "outputs" / "a").mkdir(parents=True)
    (tmp_path / "outputs" / "a" / "run.json").touch()
    (tmp_path / "other.py").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "exp").symlink_to("/bin/true")  # fish completes only what is there
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def terminal(*words: str) -> Iterator[int]:
    """The other end of a terminal in which the program runs."""
    pid, end = pty.fork()
    if pid == 0:
        os.execvp(words[0], words)
    try:
        yield end
    finally:
        os.close(end)  # hangs up
        os.waitpid(pid, 0)


@pytest.mark.parametrize("shell", START)
def test_the_shell_completes_what_is_typed(shell: str, home: Path) -> None:
    """For real: the installed script, a terminal, the Tab key."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    completion.install(shell)
    said = home / "said"
    with (home / START[shell]).open("a") as file:
        file.write(REPORT[shell].replace("FILE", str(said)) + f"touch {home / 'ready'}\n")
    with terminal(shell, "-i") as end:
        _until((home / "ready").exists, end)
        while select.select([end], [], [], 0.5)[0]:  # the prompt: what is typed before may be thrown away
            os.read(end, 65536)
        found = {}
        for typed in TYPED:
            os.write(end, f"{typed}\t\x18".encode())
            _until(said.exists, end)
            found[typed] = said.read_text()
            said.unlink()
    assert found == TYPED


def _until(happened: object, end: int) -> None:
    stop = time.monotonic() + 30
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < stop
        if select.select([end], [], [], 0.05)[0]:
            os.read(end, 65536)  # a shell waits for a terminal that is full


def test_fish_completes_what_is_typed(home: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    completion.install("fish")
    ask = "\n".join(f"complete -C '{typed}'; echo ." for typed in TYPED)
    done = subprocess.run(["fish", "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    words = [typed.rpartition(" ")[2] for typed in TYPED.values() if typed.endswith("=")]
    expected = [typed.rstrip().rpartition(" ")[2] for typed in TYPED.values()]
    assert words and [lines.strip() for lines in done.stdout.split(".\n")][:-1] == expected
