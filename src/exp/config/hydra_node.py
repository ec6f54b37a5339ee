"""What of Hydra's own settings a run may change. The rest would run code, write elsewhere, or hide the run's record."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from exp.errors import ExpError
from exp.options import trust

SUBDIR = ".hydra"
PICKLING = "CmaEsSampler"


def check_hydra(cfg: DictConfig) -> None:
    """Raises ExpError for the first value of `cfg.hydra` that exp cannot or does not do."""
    hydra = cfg.hydra if isinstance(cfg.get("hydra"), DictConfig) else None
    if hydra is None or not all(isinstance(hydra.get(name), DictConfig) for name in ("run", "sweep", "job", "runtime")):
        raise ExpError("hydra, hydra.run, hydra.sweep and hydra.job cannot be taken out of the config")
    check_job(hydra)
    if hydra.output_subdir != SUBDIR:
        raise ExpError(
            f"hydra.output_subdir={hydra.output_subdir}: a run is known by its folder {SUBDIR}; leave it out"
        )
    if hydra.get("callbacks"):
        name = next(iter(hydra.callbacks))
        raise ExpError(f"hydra.callbacks.{name}: exp runs no callbacks of Hydra; leave it out")
    _text(cfg, "hydra.run.dir")
    _text(cfg, "hydra.sweep.dir")
    if hydra.mode == RunMode.MULTIRUN:
        _check_sweep(cfg)


def check_job(hydra: DictConfig) -> None:
    """What every job of a sweep has as well, whose config may come from another machine's study."""
    job = hydra.job
    if job.get("chdir"):
        raise ExpError(
            "hydra.job.chdir=true: a run stays in the folder where it was started, and relative paths are meant from "
            "there; leave it out. Every file of the run goes into hydra.run.dir by itself"
        )
    for key in ("env_set", "env_copy"):
        if job.get(key):
            raise ExpError(f"hydra.job.{key}: set environment variables before the command, not in a config")
    for key in ("job_logging", "hydra_logging"):
        said: Any = OmegaConf.to_container(hydra[key]) if OmegaConf.is_config(hydra[key]) else hydra[key]
        if said and any(said.get(part) for part in ("root", "handlers", "formatters", "loggers", "filters")):
            raise ExpError(f"hydra/{key}: exp writes train.log itself; leave it out")


def _check_sweep(cfg: DictConfig) -> None:
    subdir = _raw(cfg, "hydra.sweep.subdir")
    if not isinstance(subdir, str) or subdir in ("", "???") or ".." in PurePath(subdir).parts or subdir.startswith("/"):
        raise ExpError(f"hydra.sweep.subdir={subdir} must be the name of a folder in hydra.sweep.dir, one for each run")
    for key in ("launcher", "sweeper"):
        node = cfg.hydra.get(key)
        if not isinstance(node, DictConfig) or "_target_" not in node:
            raise ExpError(f"hydra.{key} holds no option; choose one: hydra/{key}=basic")
        plain = OmegaConf.to_container(node, resolve=True)
        trust.check(plain, f"hydra.{key}")
        if key == "sweeper":
            _check_sweeper(plain)


def _check_sweeper(sweeper: Any) -> None:
    if sweeper.get("custom_search_space"):
        function = sweeper["custom_search_space"]
        trust.permit_function(function, "hydra.sweeper.custom_search_space")
    sampler = sweeper.get("sampler")
    theirs = not str(sweeper["_target_"]).endswith(".StudySweeper")
    if (
        theirs
        and isinstance(sampler, dict)
        and str(sampler.get("_target_")).endswith(PICKLING)
        and sweeper.get("storage")
    ):
        raise ExpError(
            "hydra/sweeper=optuna with sampler=cmaes keeps pickled state in its storage, from which others could run "
            "code here: use hydra/sweeper=study, or hydra.sweeper.storage=null"
        )


def _raw(cfg: DictConfig, key: str) -> Any:
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(cfg, parent)
    return OmegaConf.to_container(node, resolve=False).get(leaf)  # type: ignore[union-attr]


def _text(cfg: DictConfig, key: str) -> None:
    """Raises ExpError where the key's value is no name of a folder."""
    try:
        value = OmegaConf.select(cfg, key)
    except OmegaConfBaseException as error:
        raise ExpError(f"{key}: {str(error).splitlines()[0]}") from None
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ExpError(
            f"{key}={'???' if value is None else repr(value)} must be the name of a folder, e.g. outputs/mine"
        )
