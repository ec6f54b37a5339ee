"""A study in PostgreSQL that two sweep folders share, as two machines would."""

from __future__ import annotations

import time
from pathlib import Path

import optuna
from optuna.trial import TrialState

from exp.work.database import with_driver
from exp.work.last_read import slot_holders
from tests.postgres import Postgres
from tests.study.test_study_faults import finished, start

from .conftest import until


def test_eight_workers_from_two_folders_and_a_restart(postgres: Postgres, tmp_path: Path) -> None:
    url, control = postgres
    words = ["x=interval(0.0,1.0)", "hydra.sweeper.direction=maximize", "hydra.sweeper.study_name=s",
             "hydra.sweeper.n_trials=60", "hydra.sweeper.n_jobs=4", "seconds=0.15",
             f"hydra.sweeper.storage={url}"]  # fmt: skip
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir()
    coordinators = [start(home, *words) for home in homes]
    folders = [home / "multirun" / "s" for home in homes]
    until(lambda: all(len(finished(folder)) >= 4 for folder in folders))
    control("stop")
    time.sleep(4)
    control("start")
    for coordinator in coordinators:
        output, _ = coordinator.communicate(timeout=180)
        assert coordinator.returncode == 0, output
    held = slot_holders(optuna.load_study(study_name="s", storage=with_driver(url)).trials)
    assert len(held) == 60 and {trial.state for trial in held} == {TrialState.COMPLETE}
    numbers = {trial.number for trial in held}
    done = [number for folder in folders for number in finished(folder)]
    assert numbers <= set(done)  # each was run where its worker was
    assert len({trial.user_attrs["worker"] for trial in held}) >= 8  # one more where a slot came back at the end
