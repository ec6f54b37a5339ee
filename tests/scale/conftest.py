"""Engines of a cluster, started for real on this machine. `make test-scale` runs these tests."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import postgres  # noqa: F401 (a fixture)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.scale)


def until(happened: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command: str, *words: str, cwd: Path, **env: str) -> subprocess.Popen[str]:
    """`python -m exp.<command> words...`, not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", f"exp.{command}", *words],
        cwd=cwd,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


@dataclass
class Slurm:
    """A cluster of one node."""

    home: Path
    conf: Path

    def ask(self, *words: str, check: bool = True, cwd: Path | None = None) -> str:
        done = subprocess.run(words, env={**os.environ, "SLURM_CONF": str(self.conf)}, capture_output=True, text=True,
                              cwd=cwd)  # fmt: skip
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """State by id, of those that are not over."""
        lines = [line.split() for line in self.ask("squeue", "-h", "-o", "%i %T").splitlines()]
        over = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT")
        return {job: state for job, state in lines if state not in over}


# A requeued job waits until its old credential has expired: 15 s here, two minutes by default.
CONF = """
ClusterName=exp
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={home}/munge.sock,cred_expire=15
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=10
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """SLURM_CONF is set while it runs, for what the tests start."""
    for name in ("munged", "slurmctld", "slurmd", "sbatch"):
        if shutil.which(name) is None:
            pytest.skip(f"no {name} here (Debian: apt-get install slurm-wlm munge)")
    if os.getuid() != 0:
        pytest.skip("a SLURM of our own is started as root, so that it may start jobs")
    home = Path(f"/tmp/exp-slurm-{os.getpid()}")  # short: a socket's path has 108 characters
    for name in ("state", "spool"):
        (home / name).mkdir(parents=True)
    key, conf = home / "munge.key", home / "slurm.conf"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    conf.write_text(
        CONF.format(home=home, host=socket.gethostname().partition(".")[0], control=free_port(), daemon=free_port())
    )
    (home / "gres.conf").write_text("")
    slurm = Slurm(home, conf)
    try:
        slurm.ask("munged", "--force", f"--key-file={key}", f"--socket={home}/munge.sock",
                  f"--pid-file={home}/munged.pid", f"--log-file={home}/munged.log",
                  f"--seed-file={home}/munge.seed")  # fmt: skip
        slurm.ask("slurmctld", "-c")
        slurm.ask("slurmd", "-c")
        until(lambda: "idle" in slurm.ask("sinfo", "-h", "-o", "%T", check=False), 60)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(conf))
            yield slurm
    finally:
        slurm.ask("scancel", "--user=root", check=False)
        end = time.monotonic() + 30
        while slurm.ask("squeue", "-h", check=False).strip() and time.monotonic() < end:
            time.sleep(0.5)
        for name in ("slurmd", "slurmctld", "munged"):
            _end(home / f"{name}.pid")
        shutil.rmtree(home, ignore_errors=True)


def _end(pid_file: Path) -> None:
    try:
        pid = int(pid_file.read_text())
        os.kill(pid, 15)
    except (OSError, ValueError):
        return
    end = time.monotonic() + 15
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.1)
