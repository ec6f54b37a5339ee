"""python -m exp.runs: looking after run folders."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from exp import runs
from exp.run.events import EventLog

spec = importlib.util.spec_from_file_location("synthetic", Path(__file__).parent / "analysis" / "synthetic.py")
synthetic = importlib.util.module_from_spec(spec)
spec.loader.exec_module(synthetic)


def main(words):
    """The exit code."""
    try:
        return runs.main(words)
    except SystemExit as ending:
        return ending.code


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    synthetic.write(tmp_path / "outputs" / "a", seed=1)
    synthetic.write(tmp_path / "outputs" / "b", seed=2, status="failed", reason="CUDA out of memory")
    return tmp_path / "outputs"


def test_list_and_filter(home, capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "outputs/a" in out and "outputs/b" in out and "eval/accuracy 0.8000 @200" in out
    assert main(["list", "--where", "status=failed", "--paths"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(home / "b")]


def test_list_says_what_tells_runs_apart(home, capsys):
    synthetic.write(home / "c", seed=1, optimizer__lr=1e-3)
    synthetic.write(home / "d", seed=1, optimizer__lr=1e-3, loop___target_="exp.loop.accelerate.AccelerateLoop")
    assert main(["list"]) == 0
    lines = {line.split()[-1]: line for line in capsys.readouterr().out.splitlines()}
    assert "lr=5e-5 loop=trainer" in lines["outputs/a"] and "lr=0.001 loop=accelerate" in lines["outputs/d"]
    assert "weight_decay" not in lines["outputs/a"] and "seed" not in lines["outputs/a"]


def test_show_and_find(home, capsys):
    run_id = synthetic.write(home / "c", seed=3, optimizer__lr=1e-3).id
    assert main(["show", run_id]) == 0
    out = capsys.readouterr().out
    assert "optimizer.lr = 0.001" in out and "verdict: " in out and "seed 3" in out
    assert main(["find", run_id[:20]]) == 0
    assert run_id in capsys.readouterr().out
    assert main(["show", "nope"]) == 2
    assert "exp: no run folder and no id or condition 'nope'" in capsys.readouterr().err
    condition = synthetic.write(home / "d", seed=4).condition
    assert main(["show", condition]) == 2
    assert "fits 3 runs" in capsys.readouterr().err


def test_tail_follows_until_the_run_ends(home):
    run = synthetic.write(home / "live", seed=5, status="running", accuracy=(0.6,))
    command = [sys.executable, "-m", "exp.runs", "tail", str(run.folder), "--every", "0.05", "--lines", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert "eval/accuracy 0.6" in process.stdout.readline()
    log = EventLog(run.metrics_path)
    log.append({"eval/accuracy": 0.75}, step=200, epoch=2.0)
    assert "step    200" in process.stdout.readline()
    log.append({"eval/accuracy": 0.76}, step=300, epoch=3.0)
    run.finish("completed")
    rest = process.communicate(timeout=20)[0].splitlines()
    assert "step    300" in rest[0] and rest[1] == "completed"


def test_remove_asks_and_spares(home, capsys, monkeypatch):
    assert main(["remove", str(home / "a"), "--dry-run"]) == 0
    assert "would remove 1" in capsys.readouterr().out and (home / "a").exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert main(["remove", str(home / "a")]) == 1 and (home / "a").exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["remove", str(home / "a")]) == 1 and (home / "a").exists()
    synthetic.write(home / "live", seed=9, status="running")
    assert main(["remove", str(home / "live"), "--yes"]) == 2 and (home / "live").exists()
    assert main(["remove", str(home), "--yes"]) == 2 and home.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["remove", str(home / "a")]) == 0 and not (home / "a").exists()
    assert (home / "b").exists()


def test_archive_and_back(home, tmp_path, capsys):
    (home / "a" / "checkpoints").mkdir()
    (home / "a" / "checkpoints" / "big").write_bytes(b"0" * 1000)
    file = tmp_path / "kept.tar.gz"
    assert main(["archive", str(home), "--to", str(file), "--without", "checkpoints"]) == 0
    assert main(["archive", str(home), "--to", str(file)]) == 2  # not overwritten
    assert main(["restore", str(file), "--to", str(tmp_path / "back")]) == 0
    for name in ("a", "b"):
        for part in ("run.json", "metrics.jsonl"):
            assert (tmp_path / "back" / name / part).read_bytes() == (home / name / part).read_bytes()
    assert not (tmp_path / "back" / "a" / "checkpoints").exists()
    assert main(["restore", str(file), "--to", str(tmp_path / "back")]) == 2  # nothing is overwritten


def test_a_run_that_is_named_twice_is_one_run(home, tmp_path, capsys):
    assert main(["archive", "outputs", str(home / "a"), "outputs/a", "to=x.tgz"]) == 0
    assert "wrote 2 runs" in capsys.readouterr().out
    with tarfile.open(tmp_path / "x.tgz") as file:
        assert len(file.getnames()) == len(set(file.getnames()))
    assert main(["remove", "outputs/a", str(home / "a"), "yes=true"]) == 0
    assert "removed 1 run" in capsys.readouterr().out


def test_an_archive_leaves_out_parts_of_runs_that_it_knows(home, tmp_path, capsys):
    assert main(["archive", "outputs", "to=x.tgz", "without=chekpoints"]) == 2
    assert "without=chekpoints: it takes one of" in capsys.readouterr().err
    synthetic.write(home / "model", seed=3)
    (home / "model" / "model").mkdir(exist_ok=True)
    assert main(["archive", "outputs/model", "outputs/a", "to=x.tgz", "without=model"]) == 0
    with tarfile.open(tmp_path / "x.tgz") as file:
        assert "model/run.json" in file.getnames() and "model/model" not in file.getnames()


def test_a_place_that_cannot_be_is_named_as_it_was_given(home, capsys):
    assert main(["archive", "outputs/a", "to=x.tgz"]) == 0
    assert main(["archive", "outputs/a", "to=x.tgz/y.tgz"]) == 2
    assert main(["restore", "x.tgz", "to=/proc/x"]) == 2
    assert main(["restore", "nosuch.tgz"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("exp: cannot write x.tgz/y.tgz: ")
    assert told[1:] == [
        "exp: x.tgz cannot be unpacked into /proc/x: No such file or directory",
        "exp: there is no nosuch.tgz",
    ]


def test_studies_and_restored_runs_lie_where_the_project_says(home, tmp_path, capsys):
    assert main(["archive", "outputs/a", "to=x.tgz"]) == 0
    (tmp_path / "pyproject.toml").write_text('[tool.exp]\noutputs = "runs"\nmultirun = "searches"\n')
    assert main(["restore", "x.tgz"]) == 0 and (tmp_path / "runs" / "a" / "run.json").exists()
    capsys.readouterr()
    assert main(["studies"]) == 0
    assert capsys.readouterr().out == "no search or table below searches\n"
    (tmp_path / "searches" / "s").mkdir(parents=True)
    (tmp_path / "searches" / "s" / "study.json").write_text('{"study_name": "s [red]"}')
    assert main(["studies"]) == 0
    shown = capsys.readouterr().out
    assert "searches/s" in shown and "s [red]" in shown
    assert main(["studies", "nosuch"]) == 2
    assert "nosuch: there is no such folder" in capsys.readouterr().err


def archive(file, **members):
    """A tar of files (text) and links (name of the target in a list); names have __ for /."""
    with tarfile.open(file, "w:gz") as tar:
        for name, content in members.items():
            item = tarfile.TarInfo(name.replace("__", "/").replace("_json", ".json").replace("_jsonl", ".jsonl"))
            if isinstance(content, list):
                item.type, item.linkname = content
                tar.addfile(item)
            else:
                item.size = len(content)
                tar.addfile(item, io.BytesIO(content))
    return str(file)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"a__metrics_json": b"FORGED"}, "belongs to no run in it"),
        ({"alias": [tarfile.SYMTYPE, "a"], "alias__run_json": b"{}"}, "is a link or a device"),
        ({"new__checkpoints__latest": [tarfile.SYMTYPE, "/etc"]}, "is a link or a device"),
        ({"new__out": [tarfile.LNKTYPE, "new/run.json"]}, "is a link or a device"),
        ({"new__pipe": [tarfile.FIFOTYPE, ""]}, "is a link or a device"),
        ({"a__run_json": b"{}"}, "a exists; restore into another folder"),
        ({"other__run_json": b"[]"}, "is no run's record"),
    ],
)
def test_a_restore_is_all_or_nothing_and_overwrites_nothing(members, why, home, tmp_path, capsys):
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    record = (home / "a" / "run.json").read_bytes()
    file = archive(tmp_path / "x.tgz", new__run_json=record, **members)
    assert main(["restore", file, "--to", str(home)]) == 2
    assert why in capsys.readouterr().err
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in home.iterdir()) == ["a", "b"]


def test_links_of_an_earlier_archive_are_left_out(home, tmp_path):
    record = (home / "a" / "run.json").read_bytes()
    latest = [tarfile.SYMTYPE, "step-000004"]
    assert main(["restore", archive(tmp_path / "x.tgz", new__run_json=record, new__checkpoints__latest=latest),
                 "--to", str(home)]) == 0  # fmt: skip
    assert [path.name for path in (home / "new").rglob("*")] == ["run.json"]


def test_an_archive_cannot_write_outside(tmp_path, capsys):
    evil = tmp_path / "evil.tar.gz"
    with tarfile.open(evil, "w:gz") as tar:
        for name in ("x/run.json", "../outside"):
            data = b"{}"
            item = tarfile.TarInfo(name)
            item.size = len(data)
            item.mtime = int(time.time())
            tar.addfile(item, io.BytesIO(data))
    assert main(["restore", str(evil), "--to", str(tmp_path / "into" / "here")]) == 2
    assert "exp: " in capsys.readouterr().err
    assert not (tmp_path / "into" / "outside").exists()
