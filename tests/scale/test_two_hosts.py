"""Two hosts: network namespaces with a cable between them, which the test pulls. Needs root and iproute2."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from exp.run.events import read_events
from tests.scale.conftest import until

STATED = 60.0  # seconds after the cut in which both ends have stopped (docs/scaling.md)
WORDS = [
    *("tracker=none", "data.max_train_samples=400", "data.max_eval_samples=40", "per_device_train_batch_size=4"),
    *("logging_steps=1", "save_strategy=steps", "save_steps=5", "hydra.run.dir=run"),
]


@dataclass
class Hosts:
    """Two namespaces; `cable` is the name that its end has inside each."""

    names: tuple[str, str]
    cable: str = "cable"
    addresses: tuple[str, str] = ("10.77.0.1", "10.77.0.2")

    def up(self) -> None:
        for name in self.names:
            ip("-n", name, "link", "set", self.cable, "up")

    def cut(self) -> None:
        ip("-n", self.names[0], "link", "set", self.cable, "down")

    def torchrun(self, number: int, folder: Path, port: int, *words: str) -> subprocess.Popen:
        """One host's half of `torchrun --nnodes 2`; its screen goes to <folder>/host<number>.txt."""
        launch = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
        meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{self.addresses[0]}:{port}", "--rdzv-id", str(port)]
        # A host is known by its name otherwise, and both have this machine's.
        here = ["--local-addr", self.addresses[number], "--rdzv-conf", f"is_host={int(number == 0)}"]
        with (folder / f"host{number}.txt").open("w") as screen:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.names[number], *launch, *meet, *here, "-m", "exp.train", *words],
                cwd=folder,
                env={**os.environ, "GLOO_SOCKET_IFNAME": self.cable},
                stdout=screen,
                stderr=screen,
                start_new_session=True,
            )

    def processes(self) -> list[int]:
        found = [
            subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout for name in self.names
        ]
        return [int(pid) for pid in " ".join(found).split()]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("two hosts are network namespaces: needs root and the command ip (package iproute2)")
    made = Hosts((f"exp{os.getpid()}a", f"exp{os.getpid()}b"))
    first, second = made.names
    try:
        ip("netns", "add", first)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
    try:
        ip("netns", "add", second)
        ip("link", "add", made.cable, "netns", first, "type", "veth", "peer", "name", made.cable, "netns", second)
        for name, address in zip(made.names, made.addresses, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", made.cable)
            ip("-n", name, "link", "set", "lo", "up")
        made.up()
        yield made
    finally:
        for pid in made.processes():
            os.kill(pid, 9)
        for name in made.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def steps(folder: Path) -> list[int]:
    return [event.step for event in read_events(folder / "metrics.jsonl") if "train/loss" in event.metrics]


def said(folder: Path, number: int) -> list[str]:
    return [line for line in (folder / f"host{number}.txt").read_text().splitlines() if line.startswith("exp: ")]


def test_two_hosts_train_stop_when_the_cable_is_cut_and_go_on(hosts, tmp_path):
    run = tmp_path / "run"
    halves = [hosts.torchrun(number, tmp_path, 29511, *WORDS, "num_train_epochs=100") for number in (0, 1)]
    until(lambda: len(steps(run)) > 12 or any(half.poll() is not None for half in halves))
    assert [half.poll() for half in halves] == [None, None], "".join(
        (tmp_path / f"host{number}.txt").read_text() for number in (0, 1)
    )
    hosts.cut()
    cut_at = time.monotonic()
    launchers = {half.pid for half in halves}
    until(lambda: not set(hosts.processes()) - launchers, 2 * STATED)
    took = time.monotonic() - cut_at
    print(f"the training processes of both ends had stopped {took:.0f} s after the cut")
    assert took < STATED
    for half in halves:  # a torchrun without processes that is cut off from its rendezvous hangs on (torch 2.13)
        half.terminate()
        with suppress(subprocess.TimeoutExpired):
            half.wait(timeout=5)
        half.kill()
        assert half.wait() != 0
    assert not hosts.processes()
    for number in (0, 1):
        assert len(said(tmp_path, number)) == 1, (tmp_path / f"host{number}.txt").read_text()
    assert record(run)["status"] == "interrupted" and "process 1" in record(run)["reason"]
    reached = max(steps(run))

    hosts.up()
    words = ["resume=run", "max_steps=-1", "distributed.timeout=600"]
    halves = [hosts.torchrun(number, tmp_path, 29512, *words) for number in (0, 1)]
    until(lambda: (steps(run) and max(steps(run)) > reached) or any(half.poll() is not None for half in halves))
    assert [half.poll() for half in halves] == [None, None], (tmp_path / "host0.txt").read_text()
    assert record(run)["status"] == "running" and steps(run) == list(range(1, max(steps(run)) + 1))
    for half in halves:
        half.terminate()
    assert [half.wait(timeout=60) for half in halves] != [0, 0]
    assert record(run)["status"] == "interrupted" and record(run)["reason"] == "SIGTERM"
