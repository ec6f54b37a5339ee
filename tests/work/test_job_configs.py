"""A sweep's configs are Hydra's own, whatever of them was composed before."""

from __future__ import annotations

import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf

from exp.config.compose import composer
from exp.work.job_configs import JobConfigs

MASTER = ["hydra/sweeper=study", "hydra.sweep.dir=x/${now:%f}", "tracker=none", "max_steps=3"]
SWEPT = [
    ["optimizer.lr=0.1", "seed=3"],
    ["optimizer.lr=0.2", "seed=4"],
    ["optimizer.lr=0.2", "optimizer=sgd", "optimizer.momentum=0.5", "seed=5"],  # an option after a value of it
    ["optimizer=sgd", "data.max_train_samples=20", "optimizer.lr=1e-3", "hydra.sweep.subdir=0/seed_1"],
    ["task.metrics=[accuracy,f1]", "num_train_epochs=1.5", "early_stopping_patience=null"],
    ["+notes=hello", "seed=1"],
    ["~max_grad_norm", "seed=1"],
    ["experiment=debug", "max_steps=7"],
    [],
]
WRONG = [["optimizer.lrr=0.1"], ["seed=1,2"], ["sead=1"], ["optimizer=sdg", "seed=1"]]


def test_what_is_kept_changes_no_config() -> None:
    with composer() as made:
        master = made.compose(MASTER, multirun=True)
        folder, configs = master.hydra.sweep.dir, JobConfigs(master, made.loader)
        for overrides in [*SWEPT, *reversed(SWEPT)]:
            found = configs.compose(overrides)
            expected = made.loader.load_sweep_config(master, overrides)
            assert OmegaConf.to_container(found, resolve=False) == OmegaConf.to_container(expected, resolve=False)
            assert OmegaConf.is_struct(found) and found.hydra.sweep.dir == folder
            found.max_steps = 1000  # it is the job's own
        for overrides in WRONG:
            with pytest.raises(HydraException) as expected_error:
                made.loader.load_sweep_config(master, overrides)
            with pytest.raises(HydraException) as error:
                configs.compose(overrides)
            assert str(error.value) == str(expected_error.value)


def test_jobs_that_differ_in_values_are_composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with composer() as made:
        master = made.compose(MASTER, multirun=True)
        configs, calls = JobConfigs(master, made.loader), []
        compose = type(made.loader).load_sweep_config

        def counted(*given: object) -> object:
            calls.append(given)
            return compose(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(type(made.loader), "load_sweep_config", counted)
        for number in range(3):
            for optimizer in ("sgd", "adamw"):
                configs.compose([f"optimizer={optimizer}", f"optimizer.lr={number}", f"seed={number}"])
    assert len(calls) == 2
