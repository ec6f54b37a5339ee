"""`wandb sweep` and `wandb agent` themselves, against a local server; what they start is exp.train."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from exp.analysis.wandb_run import to_run, unpacked
from tests import forked
from tests.tracker.wandb_server import KEY
from tests.tracker.wandb_sweep import SWEEP, WandbSweepServer

TEMPLATE = Path(__file__).parents[2] / "src" / "exp" / "template" / "wandb-sweep.yaml"
# The client as it is, except that it asks for work every 0.1 s instead of 5. One process: its import takes long.
CLIENT = """
import sys
from wandb import wandb_agent
from wandb.cli.cli import cli
wandb_agent.Agent.POLL_INTERVAL = 0.1
cli(["sweep", "sweep.yaml"], standalone_mode=False)
cli(["agent", sys.argv[1]])
"""
SMALL = ["data.train_size=32", "data.eval_size=16", "data.test_size=16", "max_steps=2", "model.hidden_size=32"]


def sweep_and_agent(server: WandbSweepServer, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(forked.python()).parent), os.environ["PATH"]])  # what ${interpreter} finds
    env = {**os.environ, "WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url, "PATH": path}
    env = {name: value for name, value in env.items() if name not in ("WANDB_MODE", "WANDB_SILENT")}
    command = [sys.executable, "-c", CLIENT, f"me/exp/{SWEEP}"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_an_agent_trains_what_the_server_hands_out(wandb_home, tmp_path):
    server = WandbSweepServer([{"optimizer.lr": 2e-3, "optimizer.betas": [0.8, 0.99]}, {"optimizr.lr": 1e-3}])
    sweep = yaml.safe_load(TEMPLATE.read_text())
    sweep["command"][4:4] = SMALL
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    try:
        done = sweep_and_agent(server, tmp_path)
    finally:
        server.stop()
    assert f"wandb agent me/exp/{SWEEP}" in done.stderr
    assert "exp: optimizr.lr: no such key; did you mean 'optimizer.lr'?" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "Ignoring" not in done.stderr
    (folder,) = (path.parent for path in tmp_path.glob("outputs/*/*/run.json"))
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "completed" and record["wandb_id"] == "point-0"
    assert record["config"]["optimizer"]["lr"] == 2e-3 and record["config"]["optimizer"]["betas"] == [0.8, 0.99]
    assert server.exits == {"point-0": 0} and {row["step"] for row in server.history["point-0"]} >= {2}
    upsert = server.upserts[0]
    assert (upsert["name"], upsert["project"], upsert["sweep"]) == ("point-0", "exp", SWEEP)
    kept = unpacked(upsert["config"])
    assert kept["optimizer.lr"] == kept["optimizer"]["lr"] == 2e-3  # W&B's own axis, and exp's config
    # Read from there and from its folder, it is one run.
    assert _read(kept).id == record["id"]


def test_the_documentation_shows_the_file():
    page = (TEMPLATE.parents[3] / "docs" / "wandb.md").read_text()
    assert all(f"    {line}\n" in page for line in TEMPLATE.read_text().splitlines())


def _read(config: Mapping[str, object]):
    given = {"source": "", "state": "finished", "summary": {}, "group": None, "created": None, "rows": []}
    return to_run(id="point-0", config=config, **given)
