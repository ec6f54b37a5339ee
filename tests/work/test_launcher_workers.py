"""Workers that a launcher starts; real SLURM and Ray are in tests/scale."""

from __future__ import annotations

from unittest.mock import Mock

from omegaconf import OmegaConf

from exp.work.launcher_workers import LauncherWorkers


def workers(target: str, folder: str) -> LauncherWorkers:
    launcher = {"_target_": target, "submitit_folder": f"{folder}/%j"}
    config = OmegaConf.create({"hydra": {"launcher": launcher}})
    return LauncherWorkers(config, Mock(), Mock(), [], 10.0, Mock(), 2, Mock())


def test_workers_are_handed_over_when_submitit_has_put_each_into_its_queue(tmp_path):
    def submitted(job: str) -> None:
        (tmp_path / job).mkdir()
        (tmp_path / job / f"{job}_submitted.pkl").touch()

    submitted("3")  # of an earlier command
    some = workers("hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher", str(tmp_path))
    assert some.handed_over  # nothing was started
    some.launches = 2
    submitted("4_0")
    assert not some.handed_over
    submitted("4_1")
    assert some.handed_over


def test_a_launcher_that_does_not_say_so_is_not_waited_for(tmp_path):
    some = workers("hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher", str(tmp_path))
    some.launches = 2
    assert some.handed_over
