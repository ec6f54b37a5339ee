"""Run folders whose records hold something else than exp writes: every command reads on, or says so in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from exp import compare, evaluate, predict, reproduce, runs, share, train
from exp.curves import __main__ as curves
from tests.analysis import synthetic
from tests.test_hostile import contents

pytestmark = pytest.mark.slow
ESCAPE, SCRIPT, FORMULA = "\x1b]0;evil\x07", "<script>evil()</script>", "=cmd|' /C calc'!A0"
VALUES: tuple[Any, ...] = (None, 5, -1, "x", [1], {"a": 1}, 1e400, True, ESCAPE + SCRIPT, FORMULA)
TEXTS = {
    "a list": "[1]",
    "nothing": "",
    "no JSON": "{",
    "too deep": "[" * 4000,
    "binary": "\0\1\2",
    "a number": "5",
    "an empty object": "{}",
}
LINES = {
    "huge numbers": '{"step": 1e400, "epoch": 1, "time": 1, "metrics": {"eval/accuracy": 0.5}}\n',
    "text for a step": '{"step": "a", "epoch": 1, "time": 1, "metrics": {}}\n',
    "text for a number": '{"step": 4, "epoch": 1, "time": 1, "metrics": {"eval/accuracy": "much"}}\n',
    "a list of metrics": '{"step": 4, "epoch": 1, "time": 1, "metrics": [1]}\n',
    "a negative step": '{"step": -4, "epoch": -1, "time": -1, "metrics": {"eval/accuracy": 0.9}}\n',
    "an escape": json.dumps({"step": 4, "epoch": 1, "time": 1, "metrics": {ESCAPE + SCRIPT: 0.9}}) + "\n",
}


def damages(record: dict[str, Any], result: dict[str, Any]) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Something else in one place of a record. `name` says where and what."""
    for name in ("run.json", "result.json", "metrics.jsonl", ".hydra/config.yaml"):
        for what, text in TEXTS.items():
            yield f"{name} is {what}", lambda folder, name=name, text=text: _write(folder / name, text)
        yield f"{name} is a folder", lambda folder, name=name: _folder(folder / name)
    for what, line in LINES.items():
        yield f"metrics.jsonl has {what}", lambda folder, line=line: _append(folder / "metrics.jsonl", line)
    for file, whole in (("run.json", record), ("result.json", result)):
        for path in _paths(whole):
            for value in VALUES:
                yield (
                    f"{file} {'.'.join(path)}={value!r}",
                    lambda folder, file=file, path=path, value=value: _change(folder / file, path, value),
                )
            yield f"{file} without {'.'.join(path)}", lambda folder, file=file, path=path: _delete(folder / file, path)


def _paths(record: dict[str, Any], depth: int = 2) -> Iterator[tuple[str, ...]]:
    for key, value in record.items():
        yield (key,)
        if isinstance(value, dict) and depth > 1 and key != "packages":
            yield from ((key, *rest) for rest in _paths(value, depth - 1))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def _folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _change(path: Path, keys: tuple[str, ...], value: Any) -> None:
    record = json.loads(path.read_text())
    node = record
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    path.write_text(json.dumps(record))


def _delete(path: Path, keys: tuple[str, ...]) -> None:
    record = json.loads(path.read_text())
    node = record
    for key in keys[:-1]:
        node = node[key]
    del node[keys[-1]]
    path.write_text(json.dumps(record))


def made(folder: Path) -> Path:
    """A completed run, as far as names go: no weights."""
    from omegaconf import OmegaConf

    run = synthetic.write(folder)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(run.config)))
    (folder / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / "model" / name).write_text("{}")
    return folder


def commands(run: str, out: Path) -> dict[str, Callable[[], Any]]:
    files = (word for kind in ("html", "csv", "md", "latex", "json") for word in (f"--{kind}", str(out / f"x.{kind}")))
    compared = ["compare", run, *files]
    return {
        "compare": lambda: compare.main(compared[1:]),
        "curves": lambda: curves.main([run, "--no-picture"]),
        "curves --json": lambda: curves.main([run, "--json", "--no-picture"]),
        "runs list": lambda: runs.main(["list", run]),
        "runs show": lambda: runs.main(["show", run]),
        "runs tail": lambda: runs.main(["tail", run, "--once"]),
        "runs find": lambda: runs.main(["find", "x", "--in", run]),
        "reproduce": lambda: reproduce.main([run]),
        "share": lambda: share.main(),
        "evaluate": lambda: evaluate.main(),
        "predict": lambda: predict.main(),
        "train": lambda: train.main(),
    }


class Begun(BaseException):
    """The command went on to start a process, or to load a model: the record is one that it can use."""


def _begin(*_: Any, **__: Any) -> Any:
    raise Begun


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A completed run, as far as names go: no weights."""
    folder = tmp_path_factory.mktemp("good") / "run"
    run = synthetic.write(folder)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(run.config)))
    (folder / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / "model" / name).write_text("{}")
    return folder


WORDS = {"train": "resume={run}", "share": "run={run} repo_id=me/mine", "predict": "run={run}", "evaluate": "run={run}"}


def test_every_command_reads_every_damaged_record(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some 1,900 pairs: each damage meets three commands, each command a quarter of the damages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", _begin)
    monkeypatch.setattr(subprocess, "Popen", _begin)
    monkeypatch.setattr("exp.saved.finished.load_model", _begin)
    monkeypatch.setattr("exp.saved.finished.load_data", _begin)
    monkeypatch.setattr("exp.train.train", _begin)
    records = [json.loads((good / name).read_text()) for name in ("run.json", "result.json")]
    run, out = tmp_path / "run", tmp_path / "out"
    names = list(commands(str(run), out))
    wrong: list[str] = []
    tried = 0
    for number, (said, damage) in enumerate(damages(*records)):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(good, run)
        damage(run)
        before = contents(run)
        for at in range(3):
            name = names[(number + at * 4) % len(names)]
            out.mkdir(exist_ok=True)
            tried += 1
            trouble = _tried(name, run, out, monkeypatch, capsys)
            if trouble:
                wrong.append(f"{name}, {said}: {trouble}")
            shutil.rmtree(out)
        if contents(run) != before:
            wrong.append(f"{said}: the run folder was changed")
    assert tried > 1500
    assert wrong == []


def _tried(
    name: str, run: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str | None:
    words = WORDS.get(name, "").format(run=run).split()
    monkeypatch.setattr(sys, "argv", [name, *words])
    code: Any = None
    try:
        code = commands(str(run), out)[name]()
    except SystemExit as ending:
        code = ending.code
    except Begun:
        code = 0
    except Exception as error:
        return repr(error)
    captured = capsys.readouterr()
    if code not in (0, None, 1, 2):
        return f"code {code}"
    if "\x1b" in captured.out + captured.err:
        return f"an escape on the screen: {(captured.out + captured.err)[:200]!r}"
    page = out / "x.html"
    if page.exists() and "<script>evil" in page.read_text():
        return "its script stands in the page"
    sheet = out / "x.csv"
    if sheet.exists() and any(
        cell.startswith("=cmd") for line in sheet.read_text().splitlines() for cell in line.split(",")
    ):
        return "its formula stands in the sheet"
    return None
