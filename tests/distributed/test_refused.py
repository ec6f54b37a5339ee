"""What cannot work with several processes ends all of them, said once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked
from tests.distributed.shared import QUICK

BAD = {
    "optimizer=adamww": "optimizer=adamww: no such option; did you mean",
    "max_steps=0": "max_steps=0 must be 1 or more",
    "distributed.processes=3": "distributed.processes=3, and 2 were started",
    "--multirun": "--multirun starts processes of its own",
}


def pair(folder: Path, words: list[list[str]], **env: str) -> list[tuple[int, str]]:
    """Exit code and stderr of two processes started by hand, each with its own words."""
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
