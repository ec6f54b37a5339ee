"""A study's sampler and pruner, made from plain config."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import optuna
from hydra.utils import instantiate

from exp.study.space import Space

WHITELIST = ("optuna.samplers.*", "optuna.pruners.*", "hydra_plugins.hydra_optuna_sweeper.*")


class _Grid(optuna.samplers.GridSampler):
    """After the last cell Optuna's own tells the study to stop, which raises outside of `study.optimize`."""

    def after_trial(self, *args: Any) -> None:
        pass


def make_pruner(config: Mapping[str, Any]) -> optuna.pruners.BasePruner:
    return instantiate(dict(config), _execution_whitelist_=WHITELIST)


def make_sampler(
    config: Mapping[str, Any], study: str, number: int, space: Space | None
) -> optuna.samplers.BaseSampler:
    """The sampler of one trial, seeded by the study's seed and the trial's number.

    So parallel workers and a study that goes on never draw the same numbers twice, and who runs a trial does not
    matter. Grids and quasi-random sequences are one sequence for all, and keep one seed.
    """
    config = dict(config)
    target = str(config["_target_"])
    if target.endswith("GridSampler"):
        assert space is not None
        return _Grid(space.grid(), seed=config.get("seed"))
    if target.endswith("QMCSampler"):
        if config.get("seed") is None:
            config["seed"] = _mix(study)
    elif config.get("seed") is not None:
        config["seed"] = _mix(config["seed"], number)
    if target.endswith(".CmaEsSampler"):
        from exp.compat.optuna import ReplayedCmaEs

        del config["_target_"]
        return ReplayedCmaEs(**config)
    return instantiate(config, _execution_whitelist_=WHITELIST)


def _mix(*parts: Any) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") >> 1
