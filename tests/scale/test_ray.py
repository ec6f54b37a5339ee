"""A Ray of our own on this machine: sweeps, a study's workers, a cluster that runs already."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from tests.outside import option, project
from tests.study.conftest import load

from .conftest import free_port, record, start, until

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins.hydra_ray_launcher") is None, reason="the extra ray is not installed"
)
# Two CPUs whatever the machine has, and no dashboard.
RAY = ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false",
       "+hydra.launcher.ray.remote.num_cpus=1"]  # fmt: skip
STUDY = ["experiment=debug", "hydra/sweeper=study", "optimizer.lr=tag(log,interval(1e-4,1e-2))",
         "hydra.sweeper.study_name=s", "hydra.sweeper.pictures=false"]  # fmt: skip


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray that was started before the sweep."""
    # `ray start` makes a session of its own, so that its processes can be told from any other Ray's.
    port = free_port()
    ray = str(Path(sys.executable).with_name("ray"))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else a token that lies in ~/.ray, or none, decides
    head = subprocess.Popen(
        [ray, "start", "--head", f"--port={port}", "--node-ip-address=127.0.0.1", "--num-cpus=2", "--num-gpus=0",
         "--include-dashboard=false", "--disable-usage-stats", "--block"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    address = f"127.0.0.1:{port}"
    try:
        status = [ray, "status", f"--address={address}"]
        until(lambda: "Demands" in subprocess.run(status, capture_output=True, text=True).stdout, 60)
        yield address
    finally:
        head.terminate()
        try:
            head.wait(15)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)


def test_a_plain_sweep(entry: Any, tmp_path: Path) -> None:
    done = entry("train", "--multirun", "experiment=debug", "seed=1,2", "hydra.sweep.dir=sweep", *RAY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [record(tmp_path / "sweep" / str(number))["status"] for number in (0, 1)] == ["completed"] * 2


def test_workers_know_the_projects_parts(entry: Any, tmp_path: Path) -> None:
    """Code that lies in the folder in which one stands, and nowhere else."""
    project(tmp_path)
    option(tmp_path, "hydra/sweeper/sampler/lowest.yaml", "_target_: acme.search.Lowest\n")
    words = [*STUDY, "model=mean", "tracker=lines", f"tracker.lines.file={tmp_path}/lines.txt",
             "hydra/sweeper/sampler=lowest", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2"]  # fmt: skip
    done = entry("train", "--multirun", *words, *RAY)
    assert done.returncode == 0, done.stdout + done.stderr
    folders = [tmp_path / "multirun" / "s" / str(number) for number in (0, 1)]
    assert [trial.state for trial in load(folders[0].parent).trials] == [TrialState.COMPLETE] * 2
    assert [[one["name"] for one in record(folder)["trusted"]] for folder in folders] == [["acme"]] * 2
    assert (tmp_path / "lines.txt").read_text().count("finish completed") == 2


def test_a_studys_workers_on_a_cluster_one_of_them_killed(cluster: str, tmp_path: Path) -> None:
    words = [*STUDY, "max_steps=400", "hydra/launcher=ray_cluster", f"hydra.launcher.ray.init.address={cluster}",
             "hydra.launcher.ray.remote={num_cpus: 1, num_gpus: 0, max_retries: 3}",
             "hydra.sweeper.n_trials=5", "hydra.sweeper.n_jobs=2"]  # fmt: skip
    coordinator = start("train", "--multirun", *words, cwd=tmp_path)
    folder = tmp_path / "multirun" / "s"
    first = until(lambda: next(folder.glob("[0-9]*/metrics.jsonl"), None))
    os.kill(record(first.parent)["pid"], signal.SIGKILL)  # Ray starts the task again
    output, _ = coordinator.communicate(timeout=300)
    assert coordinator.returncode == 0, output
    trials = load(folder).trials
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(complete) == 5 and len(trials) == 6
    assert trials[int(first.parent.name)].state == TrialState.FAIL
    assert len({trial.user_attrs["worker"] for trial in complete}) >= 2


def test_a_task_that_no_node_can_take(cluster: str, entry: Any, tmp_path: Path) -> None:
    done = entry(
        "train", "--multirun", *STUDY, "hydra/launcher=ray_cluster", f"hydra.launcher.ray.init.address={cluster}"
    )
    assert done.returncode == 2
    assert "a task asks for 4 CPUs and 1 GPUs, and no node of the Ray cluster at" in done.stderr
    assert not (tmp_path / "multirun").exists()


def test_a_cluster_that_is_not_there(entry: Any) -> None:
    done = entry("train", "--multirun", *STUDY, "hydra/launcher=ray_cluster")
    assert done.returncode == 2
    assert "cannot reach the Ray cluster at auto" in done.stderr and "Traceback" not in done.stderr
