"""Plain sweeps through Hydra's own launchers."""

from __future__ import annotations

import importlib.util
import json

import pytest

SWEEP = ["--multirun", "experiment=debug", "max_steps=2", "seed=1,2", "optimizer.lr=1e-3,2e-3", "hydra.sweep.dir=sweep"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local"])
def test_a_bare_multirun_is_the_exact_product(launcher, entry, tmp_path):
    plugin = f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher"
    if launcher != "basic" and importlib.util.find_spec(plugin) is None:
        pytest.skip(f"the extra {launcher.split('_')[0]} is not installed")
    words = [f"hydra/launcher={launcher}"] + (["hydra.launcher.n_jobs=2"] if launcher == "joblib" else [])
    done = entry("train", *SWEEP, *words)
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "sweep").glob("[0-9]*/run.json"))]
    assert [record["status"] for record in records] == ["completed"] * 4
    points = sorted((record["seed"], record["config"]["optimizer"]["lr"]) for record in records)
    assert points == [(1, 1e-3), (1, 2e-3), (2, 1e-3), (2, 2e-3)]
    assert len({record["condition"] for record in records}) == 2  # seeds share theirs


@pytest.mark.parametrize("launcher", ["submitit_slurm", "ray"])
def test_launchers_of_clusters_compose(launcher, entry):
    if importlib.util.find_spec(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher") is None:
        pytest.skip(f"the extra {launcher.split('_')[0]} is not installed")
    done = entry("train", f"hydra/launcher={launcher}", "--cfg", "hydra")
    assert done.returncode == 0 and launcher.split("_")[0] in done.stdout, done.stderr
