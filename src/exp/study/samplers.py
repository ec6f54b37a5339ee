"""A study's sampler and pruner, made from plain config."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import optuna
from hydra.utils import instantiate

from exp.options.trust import packages
from exp.study.space import Space

WHITELIST = ("optuna.samplers.*", "optuna.pruners.*", "hydra_plugins.hydra_optuna_sweeper.*")


class NonStoppingGridSampler(optuna.samplers.GridSampler):
    """Optuna's own grid sampler stops the study after the last cell; that raises outside of `study.optimize`."""

    def after_trial(self, *args: Any) -> None:
        pass


def make_pruner(config: Mapping[str, Any]) -> optuna.pruners.BasePruner:
    return instantiate(dict(config), _execution_whitelist_=(*WHITELIST, *packages()))


def make_sampler(
    config: Mapping[str, Any], study: str, number: int, space: Space | None
) -> optuna.samplers.BaseSampler:
    """The sampler of one trial, seeded by the study's seed and the trial's number.

    So no two trials draw the same numbers, and it does not matter which worker runs a trial. Grids and quasi-random
    sequences are one sequence for all trials and keep one seed.
    """
    config = dict(config)
    target = str(config["_target_"])
    if target.endswith("GridSampler"):
        assert space is not None
        return NonStoppingGridSampler(space.grid(), seed=config.get("seed"))
    if target.endswith("QMCSampler"):
        if config.get("seed") is None:
            config["seed"] = _derived_seed(study)
    elif config.get("seed") is not None:
        config["seed"] = _derived_seed(config["seed"], number)
    if target.endswith(".CmaEsSampler"):
        from exp.compat.optuna import ReplayedCmaEs

        del config["_target_"]
        return ReplayedCmaEs(**config)
    return instantiate(config, _execution_whitelist_=(*WHITELIST, *packages()))


def _derived_seed(*parts: Any) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") >> 1
