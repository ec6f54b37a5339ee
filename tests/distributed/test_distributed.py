"""Several processes train one run: the same numbers as one, one record, and one end for all (two gloo processes)."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from exp.loop.checkpoint import Checkpoint
from exp.run.events import read_events
from exp.testing.loops import run_loop
from tests import forked
from tests.distributed.processes import DATA, LOOPS, RECIPES, SHARDED, data_of, story, words_of

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TOLERANCE = 1e-5  # fp32; sums are split otherwise


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """All runs of tests.distributed.processes, by two processes of one launch."""
    return once(tmp_path_factory, "together", launch_all)


def launch_all(folder: Path) -> None:
    for recipe in DATA:
        data_of(recipe)
    done = subprocess.run(
        [forked.python(), *TORCHRUN, "-m", "tests.distributed.processes", str(folder)],
        env={**os.environ, "EXP_FORKS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def once(factory, name: str, make) -> Path:
    """A folder that `make` fills, for all of pytest's workers together."""
    above = factory.getbasetemp().parent if os.environ.get("PYTEST_XDIST_WORKER") else factory.getbasetemp()
    with (above / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        folder = above / name
        if not folder.exists():
            folder.mkdir()
            make(folder)
        return folder


def numbers(folder: Path, name: str) -> list[dict]:
    """Of both processes."""
    return [json.loads((folder / f"{name}.{rank}.json").read_text()) for rank in (0, 1)]


def same(events, other):
    assert [(step, key) for step, key, _ in events] == [(step, key) for step, key, _ in other]
    for (step, key, one), (_, _, two) in zip(events, other, strict=True):
        assert one == pytest.approx(two, rel=TOLERANCE, abs=TOLERANCE), (step, key)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same recipe in this process, with the same batch of eight."""
    found = {}

    def run(recipe: str, loop: str) -> dict:
        if (recipe, loop) not in found:
            folder = tmp_path_factory.mktemp("alone")
            recorder, result, _, _ = run_loop(folder, *words_of(recipe, loop, 1))
            found[recipe, loop] = story(result, recorder)
        return found[recipe, loop]

    return run


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_two_processes_make_the_numbers_of_one(together, alone, recipe, loop):
    one, (first, second) = alone(recipe, loop), numbers(together, f"{loop}-{recipe}")
    same(first["events"], one["events"])
    assert first["events"] == [list(event) for event in second["events"]]  # decided on one, known to all
    assert first["stopped_early"] == one["stopped_early"] == (recipe == "stopping")
    assert first["objective"]["step"] == one["objective"]["step"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", SHARDED)
def test_sharded_processes_make_the_numbers_of_one(together, alone, how, loop):
    one, (first, _) = alone(SHARDED[how][0], loop), numbers(together, f"{loop}-{how}")
    same(first["events"], one["events"])


@pytest.mark.parametrize("loop", LOOPS)
def test_sharded_processes_go_on_exactly(together, loop):
    (whole, _), (again, _) = numbers(together, f"{loop}-fsdp"), numbers(together, f"{loop}-resumed")
    assert again["events"] == [event for event in whole["events"] if event[0] > 2] and len(again["events"]) == 8
    assert again["objective"] == whole["objective"]


@pytest.mark.parametrize("loop", LOOPS)
def test_one_process_goes_on_with_the_shards_of_two(together, alone, loop, tmp_path):
    """It reads the parts of both, each of whose files stands in the manifest."""
    folder = tmp_path / "run"
    shutil.copytree(together / f"{loop}-cut" / "checkpoints", folder / "checkpoints", symlinks=True)
    step = folder / "checkpoints" / "step-000002"
    manifest = json.loads((step / "manifest.json").read_text())
    parts = sorted(path.name for path in (step / "shards").iterdir())
    assert len(parts) == 2 and {f"shards/{name}" for name in parts} < set(manifest)
    recipe = SHARDED["fsdp"][0]
    recorder, _, _, _ = run_loop(folder, *words_of(recipe, loop, 1))
    same(recorder.events, [event for event in alone(recipe, loop)["events"] if event[0] > 2])
    shutil.copytree(together / f"{loop}-cut" / "checkpoints" / "step-000002", tmp_path / "step-000002")
    found = Checkpoint(tmp_path / "step-000002", 2)
    assert found.damage() is None
    os.truncate(found.path / "shards" / parts[1], 10)
    assert found.damage() == f"shards/{parts[1]} has 10 bytes, not {manifest[f'shards/{parts[1]}']['bytes']}"


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", SHARDED)
def test_a_sharded_model_is_saved_whole(together, how, loop):
    from transformers import AutoModelForSequenceClassification

    saved = together / f"{loop}-{how}" / "model"
    assert json.loads((saved / "config.json").read_text())["architectures"] == ["BertForSequenceClassification"]
    model, info = AutoModelForSequenceClassification.from_pretrained(saved, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert model.num_parameters() > 300_000


@pytest.mark.parametrize("loop", LOOPS)
def test_the_first_process_prunes_for_all(together, loop):
    first, second = numbers(together, f"{loop}-pruned")
    assert first["status"] == second["status"] == "pruned"
    assert first["events"] == second["events"]


def test_every_process_draws_masks_of_its_own(together):
    assert [json.loads((together / f"seed.{rank}.json").read_text()) for rank in (0, 1)] == [42, 43]


# ---- as a user starts it ----

QUICK = [
    *("tracker=none", "data.max_train_samples=161", "data.max_eval_samples=40", "num_train_epochs=2"),
    *("logging_steps=1", "save_strategy=steps", "save_steps=3", "per_device_train_batch_size=4"),
]


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


BAD = {
    "optimizer=adamww": "optimizer=adamww: no such option; did you mean",
    "max_steps=0": "max_steps=0 must be 1 or more",
    "distributed.processes=3": "distributed.processes=3, and 2 were started",
    "--multirun": "--multirun starts processes of its own",
}


def pair(folder: Path, words: list[list[str]], **env: str) -> list[tuple[int, str]]:
    """Exit code and stderr of two processes started by hand, each with its own words."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = [
        subprocess.Popen(
            [forked.python(), "-m", "exp.train", *own],
            cwd=folder,
            env={
                **os.environ,
                **{"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
                **env,
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, own in enumerate(words)
    ]
    return [(process.wait(60), process.stderr.read()) for process in processes]


@pytest.mark.parametrize("word", BAD)
def test_bad_input_is_said_once_and_ends_all(tmp_path, word):
    ended = pair(tmp_path, [[*QUICK, word], [*QUICK, word]])
    assert [code for code, _ in ended] == [2, 2]
    told = "".join(text for _, text in ended)
    assert told.startswith(f"exp: {BAD[word]}") and told.count("exp: ") == 1 and "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_different_configs_are_refused(tmp_path):
    ended = pair(tmp_path, [["seed=1"], ["seed=2"]])
    assert [code for code, _ in ended] == [2, 2]
    told = "".join(text for _, text in ended)
    assert "is 1 in process 0 and 2 in process 1" in told and told.count("exp: ") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("env", "words", "expected"),
    [
        ({"WORLD_SIZE": "2"}, [], "WORLD_SIZE=2 says that 2 processes train this run, and RANK is not set"),
        ({"WORLD_SIZE": "two"}, [], "WORLD_SIZE=two must be a whole number"),
        ({}, ["distributed.lost_after=1"], "distributed.lost_after=1 must be 5 or more"),
        ({}, ["distributed=fsdp", "distributed.wrap=all"], "distributed.wrap=all: no such choice"),
        ({}, ["distributed=fsdp"], "distributed=fsdp shares a model among several processes, and one was started"),
        ({}, ["distributed=fsdp", "adapter=adalora"], "adapter=adalora needs whole matrices"),
        ({}, ["distributed.processes=2"], "distributed.processes=2, and 1 was started"),
    ],
)
def test_one_process_says_what_it_lacks(entry, tmp_path, env, words, expected):
    done = entry("train", *words, **env)
    assert done.returncode == 2 and done.stderr.startswith(f"exp: {expected}"), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nobody_to_meet_and_a_port_that_is_taken(entry, tmp_path):
    import socket

    here = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "EXP_JOIN_SECONDS": "1"}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        done = entry("train", RANK="0", MASTER_PORT=port, **here)
        assert done.returncode == 2 and f"exp: port {port} (MASTER_PORT) is taken" in done.stderr, done.stderr
        done = entry("train", RANK="1", LOCAL_RANK="0", MASTER_PORT=port, **here)
    assert done.returncode == 2 and "exp: no rendezvous: process 1 of 2 found nobody at 127.0.0.1" in done.stderr
    done = entry("train", RANK="0", MASTER_PORT=port, **here)  # here, and alone
    assert done.returncode == 2 and "process 0 of 2 waited at 127.0.0.1" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_gpus_that_are_not_there(monkeypatch):
    import torch

    from exp.distributed.world import _device
    from exp.errors import ExpError
    from exp.run.place import Place

    class Met:
        place = Place(3, 4, 3)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert _device(Met()).type == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ExpError, match="CUDA_VISIBLE_DEVICES=0,1 asks for GPUs"):
        _device(Met())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ExpError, match="process 3 is number 4 on its host and wants a GPU of its own; there are 2"):
        _device(Met())


def test_accelerate_launch_that_starts_one_process_is_noticed(tmp_path):
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    done = subprocess.run(
        [*launch, "-m", "exp.train", *QUICK], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert done.returncode != 0 and "accelerate launch --num_processes 2 started one process" in done.stderr
    assert "--multi_gpu" in done.stderr and list(tmp_path.iterdir()) == []
