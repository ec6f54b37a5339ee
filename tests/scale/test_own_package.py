"""exp from its wheel, and a project with a part of every kind: every command knows them, installed or not."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from optuna.trial import TrialState

from exp.run.events import read_events
from tests.scale import lab
from tests.scale.conftest import record
from tests.study.conftest import load
from tests.test_share import StandIn
from tests.wheel import built, built_from, environment


@dataclass
class Place:
    """Somewhere one works: a folder, and the `exp` of an environment."""

    folder: Path
    program: Path

    def exp(self, *words: str, code: int = 0, **env: str) -> str:
        """What the command says on both streams."""
        done = subprocess.run(
            [str(self.program), *words],
            cwd=self.folder,
            env={**{key: value for key, value in os.environ.items() if key != "PYTHONPATH"}, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
        )
        assert done.returncode == code, f"{words}: {done.stdout}"
        assert code or "Traceback" not in done.stdout, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `lab`; beside it the wheel of exp in dist/."""
    home = tmp_path_factory.mktemp("home")
    made = environment(home / "maker", built(home)).parent / "exp"
    Place(home, made).exp("init", "lab")
    lab.fill(home / "lab")
    return home / "lab"


def installed(project: Path, home: Path) -> Place:
    """The project is a wheel in the environment, and one stands in an empty folder."""
    [wheel] = (project.parent / "dist").glob("*.whl")
    python = environment(home / "env", wheel, built_from(project, home / "dist"))
    (home / "away").mkdir()
    return Place(home / "away", python.parent / "exp")


def local(project: Path, home: Path) -> Place:
    """The environment has exp alone; pyproject.toml of the folder in which one stands says the rest."""
    [wheel] = (project.parent / "dist").glob("*.whl")
    return Place(project, environment(home / "env", wheel).parent / "exp")


@pytest.mark.parametrize("way", [installed, local])
def test_every_command_knows_every_kind_of_part(
    way: Callable[[Path, Path], Place], project: Path, tmp_path: Path
) -> None:
    at = way(project, tmp_path)
    said = at.exp("parts", "check=true")
    assert said.startswith("lab ") and not [line for line in said.splitlines() if line.startswith("    ")], said
    [code] = [Path(line.strip()) for line in said.splitlines() if line.startswith("  /")]
    groups = {line.strip().partition(":")[0] for line in said.splitlines() if line.startswith("  ")}
    assert {"optimizer", "scheduler", "loss", "data", "model", "adapter", "task", "tracker", "callbacks", "verdict",
            "view", "table", "hydra/sweeper/pruner", "hydra/sweeper/sampler"} <= groups  # fmt: skip

    whole = at.folder / "whole"
    assert "verdict: slow start" in at.exp("train", "experiment=all", "hydra.run.dir=whole")
    assert record(whole)["status"] == "completed"
    assert [package["name"] for package in record(whole)["trusted"]] == ["lab"]
    assert (at.folder / "lines.txt").read_text().startswith("start ")
    events = read_events(whole / "metrics.jsonl")
    rates = [event.metrics["train/lr"] for event in events if "train/lr" in event.metrics]
    assert rates[0] == 10 * rates[-1] and "eval/cost" in events[-1].metrics

    at.exp("train", "experiment=all", "hydra.run.dir=cut", code=-signal.SIGKILL, LAB_DEATH="30")
    assert record(at.folder / "cut")["status"] == "running"
    assert "resumed from" in at.exp("train", "resume=cut")
    numbers = [
        [(event.step, event.metrics) for event in read_events(folder / "metrics.jsonl") if event.step > 24]
        for folder in (whole, at.folder / "cut")
    ]
    assert numbers[0] == numbers[1]

    assert "equal" in at.exp("reproduce", "whole")
    at.exp("evaluate", "whole")
    assert "billing" in at.exp("predict", "whole", "text=please help : my refund was lost")
    at.exp("predict", "whole", "data.split=eval")
    stand_in = StandIn()
    at.exp("share", "whole", "repo_id=me/mine", **stand_in.env)
    stand_in.server.shutdown()
    assert "README.md" in stand_in.files and not any("lab/" in name for name in stand_in.files)

    at.exp("train", "--multirun", "experiment=all", "optimizer=lion,adamw", "seed=1,2", "hydra.sweep.dir=sweep")
    compared = at.exp("compare", "sweep", "width=200")
    assert "optimizer" in compared and "Lion" in compared and "adamw" in compared, compared

    at.exp(
        *("train", "--multirun", "experiment=all", "hydra/sweeper=study", "hydra/sweeper/pruner=odd_ones"),
        *("hydra/sweeper/sampler=drawn", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "hydra.sweeper.study_name=s"),
        *("hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2", "hydra.sweeper.pictures=false"),
        *("hydra.sweep.dir=study",),
    )
    trials = load(at.folder / "study").trials
    assert {trial.state for trial in trials[::2]} == {TrialState.COMPLETE}
    assert {trial.state for trial in trials[1::2]} == {TrialState.PRUNED}
    assert len({trial.user_attrs["worker"] for trial in trials}) == 2

    said = at.exp("table", "mine", "jobs=2", "view=counts")
    assert "runs in each cell" in said and "Lion" in said, said

    with (code / "losses.py").open("a") as file:
        file.write("# another comment\n")
    for words in (["evaluate", "whole"], ["predict", "whole", "text=hi"], ["reproduce", "whole"]):
        assert "the code of lab has changed since the run" in at.exp(*words)
