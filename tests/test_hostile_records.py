"""Run folders whose records hold something else than exp writes: every command reads on, or says so in one line."""

from __future__ import annotations

import io
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
from exp.config.compose import compose, plain
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
        if isinstance(value, dict) and depth > 1 and key not in ("packages", "config"):
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


def commands(run: Path, out: Path) -> dict[str, tuple[Callable[[], Any], list[str]]]:
    files = [f"{kind}={out / 'x'}.{kind}" for kind in ("html", "csv", "md", "latex", "json")]
    return {
        "compare": (compare.main, [f"{run}", *files]),
        "curves": (curves.main, [f"{run}", "picture=false"]),
        "curves json": (curves.main, [f"{run}", "json=true", "picture=false"]),
        "runs list": (runs.main, ["list", f"{run}"]),
        "runs show": (runs.main, ["show", f"{run}"]),
        "runs tail": (runs.main, ["tail", f"{run}", "once=true"]),
        "runs find": (runs.main, ["find", "run", f"in={run}"]),
        "reproduce": (reproduce.main, [f"{run}"]),
        "share": (share.main, [f"{run}", "repo_id=me/mine"]),
        "evaluate": (evaluate.main, [f"{run}"]),
        "predict": (predict.main, [f"{run}", "text=hello"]),
        "train": (train.main, [f"resume={run}"]),
    }


class Begun(BaseException):
    """The command went on to start a process, or to load a model: the record is one that it can use."""


def _begin(*_: Any, **__: Any) -> Any:
    raise Begun


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A completed run, as far as names go: no weights."""
    folder = tmp_path_factory.mktemp("good") / "run"
    synthetic.write(folder)
    config = plain(compose(["tracker=none"]))
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    _change(folder / "run.json", ("config",), config)
    for key, value in (("inputs", ["text"]), ("label_column", "label"), ("greater_is_better", True)):
        _change(folder / "run.json", ("data", key), value)
    (folder / "model").mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / "model" / name).write_text("{}")
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a copy of the good run goes; commands end where they would begin to work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))  # predict reads texts from it
    for place in ("run", "Popen"):
        monkeypatch.setattr(subprocess, place, _begin)
    for place in ("exp.saved.finished.load_model", "exp.saved.finished.load_data", "exp.train.train"):
        monkeypatch.setattr(place, _begin)
    return tmp_path / "run"


def test_every_command_takes_the_whole_record(
    good: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(good, run)
    for name in commands(run, tmp_path).keys() - {"share", "train"}:  # the Hub is away; the run is complete
        assert _tried(name, run, tmp_path, monkeypatch, capsys, codes=(0, None)) is None, name


def test_every_command_reads_every_damaged_record(
    good: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged file meets every command; a damaged value one of them, in turns."""
    records = [json.loads((good / name).read_text()) for name in ("run.json", "result.json")]
    out = tmp_path / "out"
    names = list(commands(run, out))
    wrong: list[str] = []
    tried = 0
    for number, (said, damage) in enumerate(damages(*records)):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(good, run)
        damage(run)
        before = contents(run)
        of_files = " is " in said or "metrics.jsonl" in said
        for name in names if of_files else [names[number % len(names)]]:
            out.mkdir(exist_ok=True)
            tried += 1
            trouble = _tried(name, run, out, monkeypatch, capsys)
            if trouble:
                wrong.append(f"{name}, {said}: {trouble}")
            shutil.rmtree(out)
        if contents(run) != before:
            wrong.append(f"{said}: the run folder was changed")
    print(tried, "pairs")
    assert tried > 900
    assert not wrong, "\n".join(wrong)


def _tried(
    name: str,
    run: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    codes: tuple[int | None, ...] = (0, None, 1, 2),
) -> str | None:
    """What went wrong, if anything did."""
    call, words = commands(run, out)[name]
    monkeypatch.setattr(sys, "argv", [name, *words])
    code: Any = None
    try:
        code = call()
    except SystemExit as ending:
        code = ending.code
    except Begun:
        code = 0
    except Exception as error:
        return repr(error)
    captured = capsys.readouterr()
    if code not in codes:
        return f"code {code}: {captured.err[-300:]}"
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
