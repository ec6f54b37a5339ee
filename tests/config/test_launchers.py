"""Plain sweeps through Hydra's own launchers."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from exp.config.launchers import check_launcher, package_missing
from exp.errors import ExpError
from exp.run.interrupts import Interrupts, pass_on
from tests import forked

SWEEP = ["--multirun", "experiment=debug", "max_steps=2", "seed=1,2", "optimizer.lr=1e-3,2e-3", "hydra.sweep.dir=sweep"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local"])
def test_a_bare_multirun_is_the_exact_product(launcher, entry, tmp_path):
    plugin = f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher"
    if launcher != "basic" and importlib.util.find_spec(plugin) is None:
        pytest.skip(f"the extra {launcher.split('_')[0]} is not installed")
    given = [*SWEEP, f"hydra/launcher={launcher}"]
    forks = {"EXP_FORKS": "1"}
    if launcher == "submitit_local":
        # It names a job by the process that starts it, which is no fork; the job itself is.
        (tmp_path / "path").mkdir()
        (tmp_path / "path" / "sitecustomize.py").write_text(
            "import os\n"
            "name = 'SUBMITIT_LOCAL_COMMAND'\n"
            "if name in os.environ:\n"
            f"    os.environ[name] = {forked.python()!r} + ' ' + os.environ[name].partition(' ')[2]\n"
        )
        forks = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "path"), os.environ.get("PYTHONPATH", "")])}
    done = entry("train", *given, *(["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []), **forks)
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "sweep").glob("[0-9]*/run.json"))]
    assert {record["status"] for record in records} == {"completed"}
    points = sorted((record["seed"], record["config"]["optimizer"]["lr"]) for record in records)
    assert points == [(seed, lr) for seed in (1, 2) for lr in (1e-3, 2e-3)]
    assert len({record["condition"] for record in records}) == 2  # seeds share theirs


@pytest.mark.parametrize("launcher", ["submitit_slurm", "slurm_cpu", "slurm_gpu", "ray", "ray_cluster"])
def test_launchers_of_clusters_compose(launcher, entry):
    extra = "ray" if launcher.startswith("ray") else "submitit"
    if importlib.util.find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
        pytest.skip(f"the extra {extra} is not installed")
    done = entry("train", f"hydra/launcher={launcher}", "--cfg", "hydra")
    assert done.returncode == 0 and f"hydra_{extra}_launcher" in done.stdout, done.stderr


@pytest.mark.slow
def test_a_launcher_whose_package_is_missing_is_named(tmp_path):
    # What Hydra sees where the package is not installed: its plugins cannot be imported.
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['hydra_plugins.hydra_joblib_launcher'] = None")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "ignore", "-m", "exp.train", *SWEEP, "hydra/launcher=joblib"]
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "needs the package hydra-joblib-launcher" in line and "pip install 'exp[joblib]'" in line
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(("launcher", "extra"), [("ray_cluster", "ray"), ("slurm_gpu", "submitit")])
def test_the_package_of_each_launcher(launcher, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, f"hydra_plugins.hydra_{extra}_launcher", None)
    told = str(package_missing(launcher))
    assert f"needs the package hydra-{extra}-launcher" in told and f"pip install 'exp[{extra}]'" in told


def config(launcher, sweeper="basic", **settings):
    choices = {"hydra/launcher": launcher, "hydra/sweeper": sweeper}
    return OmegaConf.create({"hydra": {"runtime": {"choices": choices}, "launcher": settings}})


SLURM = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"
RAY = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"


def test_slurm_needs_sbatch(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExpError, match="hydra/launcher=slurm_cpu submits jobs to SLURM, and there is no sbatch"):
        check_launcher(config("slurm_cpu", _target_=SLURM))


def test_a_plain_sweep_has_one_task_a_job(monkeypatch, tmp_path):
    (tmp_path / "sbatch").write_text("")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExpError, match="8 tasks a job would train every run 8 times in one folder"):
        check_launcher(config("slurm_gpu", _target_=SLURM, tasks_per_node=8))
    check_launcher(config("slurm_gpu", "study", _target_=SLURM, tasks_per_node=8))


def test_gpus_that_ray_has_not(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    init = {"address": None, "num_cpus": 4}
    check_launcher(config("ray", _target_=RAY, ray={"init": init, "remote": {"num_gpus": 2}}))
    assert os.environ["RAY_ADDRESS"] == "local"  # not the last cluster of this machine, which may be gone
    monkeypatch.delenv("RAY_ADDRESS")
    with pytest.raises(ExpError, match=r"0 CPUs and 8 GPUs, and no node of this machine has them \(at most 4 and 2\)"):
        check_launcher(config("ray", _target_=RAY, ray={"init": init, "remote": {"num_gpus": 8}}))


def test_a_ray_that_does_not_listen():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.raises(ExpError, match=r"cannot reach the Ray cluster at 127.0.0.1:9 \(.*refused"):
        check_launcher(config("ray_cluster", _target_=RAY, ray={"init": {"address": "127.0.0.1:9"}, "remote": {}}))


def test_what_a_signal_meets_that_somebody_listened_to(monkeypatch):
    """submitit's handler requeues and exits; it is called once the run has saved, for either signal."""
    heard = []

    def requeue(number, frame):
        heard.append(signal.Signals(number).name)
        raise SystemExit(-1)

    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        for reason in ("SIGUSR1", "SIGUSR2", "SIGTERM", None):
            pass_on(reason)
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGUSR2)
            assert interrupts.received == "SIGUSR2" and len(heard) == 2
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert heard == ["SIGUSR2", "SIGUSR2"]
