from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from exp import reproduce as entry
from exp.errors import ExpError
from exp.run.differences import differences
from tests.finished_runs import contents, copy_of, reviews_run


@pytest.mark.slow
@pytest.mark.usefixtures("fast_python")
def test_a_run_comes_out_equal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = copy_of(reviews_run(), tmp_path / "run")
    before = contents(source)
    assert entry.reproduce(source, None) == 0
    again = tmp_path / "run-reproduced"
    text = capfd.readouterr().out
    assert f"in {again}" in text and "to the last bit" in text
    assert contents(source) == before
    assert json.loads((again / "run.json").read_text())["condition"] == json.loads(before["run.json"])["condition"]
    assert (again / "model" / "model.safetensors").read_bytes() == before["model/model.safetensors"]


def test_a_run_that_was_altered_comes_out_different(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = altered(tmp_path, "run", metrics={"train/loss": 0.1})

    def same_again(words: list[str], **more: object) -> subprocess.CompletedProcess[bytes]:
        if "exp.train" in words:
            copy_of(reviews_run(), tmp_path / "again")
        return subprocess.CompletedProcess(words, 0, b"")

    monkeypatch.setattr(subprocess, "run", same_again)
    with pytest.raises(SystemExit) as ending:
        entry.main([str(source), "--into", str(tmp_path / "again")])
    assert ending.value.code == 1
    assert "different: " in capsys.readouterr().out


def altered(tmp_path: Path, name: str, **fields: object) -> Path:
    """A copy of the run whose first event, or whose result, says something else."""
    folder = copy_of(reviews_run(), tmp_path / name)
    if "result" in fields:
        file = folder / "result.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields["result"]}))  # type: ignore[dict-item]
        return folder
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), **fields})
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_only_numbers_count(tmp_path: Path) -> None:
    other_time = altered(tmp_path, "time", time=1e6)
    assert entry.first_difference(reviews_run(), other_time) is None
    other_cost = altered(tmp_path, "cost", result={"cost": {}, "reason": "another"})
    assert entry.first_difference(reviews_run(), other_cost) is None


def test_the_first_difference_is_named(tmp_path: Path) -> None:
    source = reviews_run()
    first = json.loads((source / "metrics.jsonl").read_text().splitlines()[0])["metrics"]
    for fields, message in (
        ({"step": 99}, "of step 99"),
        ({"metrics": {}}, "was logged only then"),
        ({"metrics": {**first, "train/loss": math.nextafter(first["train/loss"], 1)}}, "first at step 3: train/loss"),
        ({"result": {"stopped_early": True}}, "result.json, stopped_early: False then, True now"),
    ):
        found = entry.first_difference(source, altered(tmp_path, str(len(list(tmp_path.iterdir()))), **fields))
        assert found is not None and message in found
    shorter = copy_of(source, tmp_path / "shorter")
    lines = (shorter / "metrics.jsonl").read_text().splitlines()
    (shorter / "metrics.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    assert f"{len(lines)} events then, {len(lines) - 1} now" in str(entry.first_difference(source, shorter))
    weights = copy_of(source, tmp_path / "weights") / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert "the weights in model/ are not" in str(entry.first_difference(source, tmp_path / "weights"))


def test_the_saved_config_runs_without_trackers_and_pushes(tmp_path: Path) -> None:
    record = {"config": {"tracker": {"wandb": {}}, "hub": {"push": True}, "resume": "/somewhere"}}
    words = entry.command(tmp_path / "run", tmp_path / "it's new", record)
    assert {"~tracker.wandb", "hub.push=false", "resume=null"} <= set(words)
    assert f"hydra.run.dir='{tmp_path}/it\\'s new'" in words


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema": 99}, "was written by a newer exp"),
        ({"status": "failed", "reason": "no memory"}, "no result to compare with: its status is failed (no memory)"),
        ({"status": "pruned", "reason": "eval/loss=2"}, "was pruned by its study (eval/loss=2)"),
    ],
)
def test_runs_that_cannot_be_repeated(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    folder = copy_of(reviews_run(), tmp_path / "run")
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, **fields}))
    before = contents(tmp_path)
    with pytest.raises(ExpError) as error:
        entry.reproduce(folder, None)
    assert message in str(error.value)
    assert contents(tmp_path) == before


def test_bad_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for words, message in (
        ([str(tmp_path / "ful")], "there is no such folder; did you mean 'full'"),
        ([str(tmp_path / "full")], "is no run folder"),
        ([str(reviews_run()), "--into", str(tmp_path / "full")], "is never overwritten"),
    ):
        with pytest.raises(SystemExit) as ending:
            entry.main(words)
        assert ending.value.code == 2
        assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["full"]  # noqa: PTH208


@pytest.mark.slow
@pytest.mark.usefixtures("fast_python")
def test_data_that_are_gone_are_missed_before_anything_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(reviews_run(), tmp_path / "run")
    config = folder / ".hydra" / "config.yaml"
    saved = OmegaConf.load(config)
    samples = {"max_train_samples": None, "max_eval_samples": None}
    saved.data = {"_target_": "exp.data.glue.Glue", "task": "mrpc", "path": "/data/that/are/gone", **samples}
    OmegaConf.save(saved, config)
    with pytest.raises(ExpError, match="cannot be started again"):
        entry.reproduce(folder, None)
    assert "/data/that/are/gone" in capfd.readouterr().err
    assert [item.name for item in tmp_path.iterdir()] == ["run"]


def test_surroundings_are_compared() -> None:
    then = {
        "git": {"commit": "a" * 40, "dirty": True, "diff": "", "diff_cut": False},
        "packages": {"torch": "2.12", "numpy": "2"},
        "hardware": {"cpu": "A", "cores": 2, "threads": 2, "gpus": ["H"], "host": "one"},
    }
    now = {
        "git": {"commit": "b" * 40, "dirty": False, "diff": "", "diff_cut": False},
        "packages": {"torch": "2.13", "numpy": "2"},
        "hardware": {"cpu": "A", "cores": 4, "threads": 2, "host": "two"},
    }
    told = differences(then, now)
    assert told[0] == "code: commit aaaaaaaaaaaa then, bbbbbbbbbbbb now"
    assert "not committed" in told[1]
    assert told[2:] == [
        "package torch: 2.12 then, 2.13 now",
        "hardware: cores 2 then, 4 now",
        "hardware: gpus ['H'] then, None now",
    ]
    assert differences(now, now) == []
