"""`python -m exp.train` as a user starts it, stops it and goes on with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exp.run.events import read_events
from tests import forked

QUICK = [
    "tracker=none",
    "data.max_train_samples=200",
    "per_device_train_batch_size=16",
    "data.max_eval_samples=60",
    "num_train_epochs=2",
    "logging_steps=1",
    "save_strategy=steps",
    "save_steps=5",
]


def record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def story(folder: Path) -> list:
    return [(event.step, event.metrics) for event in read_events(folder / "metrics.jsonl")]


@contextmanager
def status_of(folder: Path, status: str) -> Iterator[None]:
    """The record says so for a while."""
    saved = (folder / "run.json").read_text()
    (folder / "run.json").write_text(json.dumps(json.loads(saved) | {"status": status}))
    try:
        yield
    finally:
        (folder / "run.json").write_text(saved)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = forked.run("exp.train", *QUICK, f"hydra.run.dir={folder}", cwd=Path.cwd(), env=os.environ)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_run_leaves_everything_that_others_read(whole):
    folder, done = whole
    result = json.loads((folder / "result.json").read_text())
    assert result["schema"] == 1 and result["status"] == record(folder)["status"] == "completed"
    assert result["objective"]["name"] == "eval/accuracy" and result["best"]["eval/accuracy"]["step"] > 0
    costs = {"train_seconds", "samples_per_second", "tokens_per_second", "steps", "peak_memory_bytes", "total_flops"}
    costs |= {"wall_seconds", "mfu"}
    known = set(result["cost"]) - {"energy_kwh"}  # energy: where it is counted
    assert known == costs and result["cost"]["steps"] == 26
    assert result["cost"]["mfu"] > 0 and result["cost"]["wall_seconds"] > result["cost"]["train_seconds"]
    assert record(folder)["cost_basis"]["peak_flops"] > 1e8
    first = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
    assert set(first) == {"step", "epoch", "time", "metrics"}
    assert set(first["metrics"]) == {"train/loss", "train/lr", "train/grad_norm"}
    for name in ("model/model.safetensors", "model/README.md", "predictions/eval.parquet", "curves.png", "train.log"):
        assert (folder / name).stat().st_size > 0, name
    assert "491 k of 491 k parameters trained, 26 steps of 16 examples" in done.stderr
    assert "eval/accuracy" in done.stderr and "verdict:" in done.stderr and str(folder) in done.stderr
    assert "\r" not in done.stderr  # no bar without a terminal


def test_the_model_loads_with_its_label_names(whole):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(whole[0] / "model")
    assert set(model.config.id2label.values()) == {"negative", "positive"}
    assert AutoTokenizer.from_pretrained(whole[0] / "model")("good").input_ids


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_saves_and_the_run_goes_on_to_the_same_end(number, whole, tmp_path, entry):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [forked.python(), "-m", "exp.train", *QUICK, f"hydra.run.dir={folder}"], stderr=subprocess.PIPE
    )
    deadline = time.time() + 120
    while not (folder / "metrics.jsonl").exists() or not read_events(folder / "metrics.jsonl"):
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert (record(folder)["status"], record(folder)["reason"]) == ("interrupted", number.name)
    again = entry("train", f"resume={folder}")
    assert again.returncode == 0, again.stderr
    assert story(folder) == story(whole[0])
    assert (folder / "model/model.safetensors").read_bytes() == (whole[0] / "model/model.safetensors").read_bytes()


def test_a_completed_run_is_left_as_it_is(whole, entry):
    before = {path: path.stat().st_mtime_ns for path in whole[0].rglob("*")}
    done = entry("train", f"resume={whole[0]}")
    assert done.returncode == 2 and "is complete; nothing was changed" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in whole[0].rglob("*")} == before


def test_a_changed_key_is_refused_by_name(whole, entry):
    with status_of(whole[0], "interrupted"):
        done = entry("train", f"resume={whole[0]}", "per_device_train_batch_size=4")
    assert done.returncode == 2 and "changes per_device_train_batch_size (was 16, now 4)" in done.stderr
    done = entry("train", f"resume={whole[0]}", "num_train_epochs=9")
    assert done.returncode == 2 and "scheduler=linear spreads its rate over the whole run" in done.stderr


@pytest.mark.slow
def test_a_run_is_made_longer_where_its_schedule_permits(tmp_path, entry):
    folder = tmp_path / "run"
    words = [*QUICK, "scheduler=constant", f"hydra.run.dir={folder}"]
    assert entry("train", *words, "num_train_epochs=1").returncode == 0
    longer = entry("train", f"resume={folder}", "num_train_epochs=2")
    assert longer.returncode == 0, longer.stderr
    other = tmp_path / "at_once"
    assert entry("train", *words[:-1], "num_train_epochs=2", f"hydra.run.dir={other}").returncode == 0
    assert story(folder) == story(other)
    assert record(folder)["condition"] == record(other)["condition"]


def test_a_run_that_is_refused_for_its_rows_leaves_no_folder(tmp_path, entry):
    (tmp_path / "train.csv").write_text("text,label\n" + "good,yes\nbad,no\n" * 20)
    (tmp_path / "dev.csv").write_text("text,label\ngood,yes\nbad,maybe\n")
    words = ["data=files", "data.train_file=train.csv", "data.validation_file=dev.csv", "task.text_columns=[text]"]
    done = entry("train", "tracker=none", *words, "task.label_column=label", "hydra.run.dir=run")
    assert done.returncode == 2 and "maybe" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_ends_in_one_message(tmp_path, entry):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        done = entry("train", *QUICK, f"hydra.run.dir={disk / 'run'}", EXP_CACHE=str(tmp_path / "cache"))
        assert done.returncode == 2, done.stderr
        assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
        assert record(disk / "run")["status"] in ("failed", "running")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_two_processes_never_write_one_run(whole, entry):
    from exp.run.lock import locked

    with status_of(whole[0], "interrupted"), locked(whole[0]):
        done = entry("train", f"resume={whole[0]}")
    assert done.returncode == 2 and "is being written by process" in done.stderr
