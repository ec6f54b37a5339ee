"""Several processes as a user starts them: one record, and one end for all (two gloo processes)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from exp.run.events import read_events
from tests import forked
from tests.distributed.shared import QUICK, TORCHRUN, once


def start(folder: Path, *words: str, python: str | None = None, **env: str) -> subprocess.Popen:
    return subprocess.Popen(
        [python or forked.python(), *TORCHRUN, "-m", "exp.train", *words],
        cwd=folder,
        env={**os.environ, "EXP_FORKS": "1", **env},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def train(folder: Path, *words: str, **env: str) -> tuple[int, list[str]]:
    """Exit code, and what exp itself said on the screen: torchrun adds a report of its own."""
    process = start(folder, *words, **env)
    _, told = process.communicate(timeout=200)
    return process.returncode, [line for line in told.splitlines() if line.startswith("exp: ")]


def record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def metrics(folder: Path) -> list:
    return [(event.step, event.metrics) for event in read_events(folder / "metrics.jsonl")]


def workers_of(folder: Path) -> list[int]:
    """The processes with a rank that were started in `folder`."""
    found = [process.pid for process in forked.started_in(folder, "exp.train") if "RANK" in process.environ()]
    assert len(found) == 2
    return sorted(found)


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def wait_for(condition, seconds: float = 120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    def make(folder: Path) -> None:
        code, told = train(folder, *QUICK, "hydra.run.dir=run")
        assert code == 0, told

    return once(tmp_path_factory, "whole", make) / "run"


def test_one_folder_one_record_and_a_log_a_process(whole):
    assert [path.name for path in whole.parent.iterdir()] == ["run"]
    found = record(whole)
    assert (found["status"], found["processes"], found["config"]["distributed"]["processes"]) == ("completed", 2, 2)
    assert "Saved" not in (whole / "train.rank1.log").read_text() and (whole / "train.log").stat().st_size > 0
    steps = [step for step, row in metrics(whole) if "train/loss" in row]
    assert steps == list(range(1, 43))  # ceil(161 / 8) = 21 steps an epoch
    for name in ("model/model.safetensors", "predictions/eval.parquet", "curves.png", "result.json"):
        assert (whole / name).exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_one_stops_all_at_the_same_step_and_resume_is_exact(whole, tmp_path, number):
    process = start(tmp_path, *QUICK, "hydra.run.dir=run")
    wait_for(lambda: len(metrics(tmp_path / "run")) > 4)
    workers = workers_of(tmp_path)
    os.kill(workers[1], number)
    process.communicate(timeout=60)
    found = record(tmp_path / "run")
    assert (found["status"], found["reason"]) == ("interrupted", number.name)
    assert gone(workers)
    before = len(metrics(tmp_path / "run"))
    assert before < len(metrics(whole))
    code, _ = train(tmp_path, "resume=run")
    assert code == 0 and metrics(tmp_path / "run") == metrics(whole)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_other_and_the_record_says_so(whole, tmp_path, victim):
    process = start(tmp_path, *QUICK, "num_train_epochs=50", "distributed.lost_after=8", "hydra.run.dir=run")
    wait_for(lambda: len(metrics(tmp_path / "run")) > 4)
    workers = workers_of(tmp_path)
    ranks = {int(Path(f"/proc/{pid}/environ").read_text().split("\0RANK=")[1].split("\0")[0]): pid for pid in workers}
    os.kill(ranks[victim], signal.SIGKILL)
    begun = time.monotonic()
    _, told = process.communicate(timeout=60)
    assert time.monotonic() - begun < 30 and gone(workers)
    found = record(tmp_path / "run")
    assert (found["status"], found["reason"]) == ("interrupted", f"process {victim} of 2 is gone")
    said = [line for line in told.splitlines() if line.startswith("exp: ")]
    assert len(said) == 1 and "resume=" in said[0]


@pytest.mark.slow
def test_a_launcher_that_is_killed_leaves_no_orphan(tmp_path):
    process = start(
        tmp_path, *QUICK, "num_train_epochs=50", "distributed.lost_after=8", "hydra.run.dir=run", python=sys.executable
    )
    wait_for(lambda: len(metrics(tmp_path / "run")) > 4)
    workers = [child.pid for child in psutil.Process(process.pid).children() if "exp.train" in child.cmdline()]
    assert len(workers) == 2
    process.kill()
    wait_for(lambda: gone(workers), 30)
    process.communicate()
    assert record(tmp_path / "run")["status"] == "interrupted"
    assert list((tmp_path / "run" / "checkpoints").glob("step-*"))


@pytest.mark.slow
def test_another_number_of_processes_goes_on_and_says_what_stays_equal(whole, tmp_path, entry):
    process = start(tmp_path, *QUICK, "model.dropout=0", "hydra.run.dir=run")
    wait_for(lambda: len(metrics(tmp_path / "run")) > 4)
    os.kill(workers_of(tmp_path)[0], signal.SIGTERM)
    process.communicate(timeout=60)
    done = entry("train", "resume=run")
    assert done.returncode == 0, done.stderr
    assert "2 processes until step" in done.stderr and "dropout masks are drawn anew" in done.stderr
    change = record(tmp_path / "run")["processes_changed"]
    assert [(one["processes_before"], one["processes"]) for one in change] == [(2, 1)]
    assert max(step for step, _ in metrics(tmp_path / "run")) == 42
