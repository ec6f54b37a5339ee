"""Composes and checks the configs of a sweep before its first trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import CategoricalDistribution

from exp.errors import ExpError, nearest
from exp.run.identity import flatten
from exp.study.space import Param, Space
from exp.work.job_configs import JobConfigs

MAX_CONFIGS = 32  # all configs are checked up to this number; else this many combinations of group choices
RANDOM_CONFIGS = 12  # checked in addition; each takes about 0.1 s


def group_names(loader: ConfigLoader, config: DictConfig) -> set[str]:
    """Config groups that may be swept: those of the search path and those chosen."""
    chosen = {str(key) for key in config.hydra.runtime.choices if not str(key).startswith("hydra")}
    return chosen | {name for name in loader.list_groups("") if name != "hydra"}


def check_configs(
    loader: ConfigLoader,
    master: DictConfig,
    space: Space,
    groups: set[str],
    check: Callable[[DictConfig], None] | None,
) -> int:
    """Raises ExpError for the first config that cannot be; the number of configs that were checked.

    `check` looks at a whole config with Hydra's node; None: whatever can be composed is right.
    """
    count = 0
    bases: dict[str, DictConfig] = {}
    configs = JobConfigs(master, loader)
    for param in space.params:
        for key in param.keys:
            if key.lstrip("+") in groups and not isinstance(param.distribution, CategoricalDistribution):
                options = ", ".join(loader.get_group_options(key.lstrip("+"), ObjectType.CONFIG))
                raise ExpError(f"{key} is a choice of options ({options}), not a number: use {key}=choice(...)")
    for chosen in space.probes(groups, MAX_CONFIGS, RANDOM_CONFIGS):
        config = compose(configs, space, chosen, groups, bases)
        if check is not None:
            _check_config(check, config, space.swept(chosen))
        count += 1
    return count


def compose(
    configs: JobConfigs,
    space: Space,
    chosen: Mapping[str, Any],
    groups: set[str],
    bases: dict[str, DictConfig],
) -> DictConfig:
    """Raises ExpError for an unknown parameter or a choice that does not exist."""
    swept = space.swept(chosen)
    active = [param for param in space.params if param.name in chosen]
    of_groups = [f"{key}={value}" for key, value in swept.items() if key.lstrip("+") in groups]
    fixed = [f"{key}={value}" for key, value in space.fixed.items() if key not in swept]
    branch = " ".join(of_groups)
    try:
        if branch not in bases:
            bases[branch] = configs.loader.load_sweep_config(configs.master, [*fixed, *of_groups, *space.deleted])
        base = bases[branch]
    except MissingConfigException as error:
        raise ExpError(f"a trial with {', '.join(of_groups) or 'no choices'}: {_first_line(error)}") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ExpError(f"a trial cannot be composed ({' '.join(of_groups)}): {_first_line(error)}") from error
    for param in active:
        for key in param.keys:
            _check_param(param, key, base, groups, of_groups)
    try:
        return configs.compose(space.overrides(chosen))
    except (HydraException, OmegaConfBaseException) as error:
        words = " ".join(f"{key}={value}" for key, value in swept.items())
        raise ExpError(f"a trial with {words} cannot be composed: {_first_line(error)}") from error


def _check_param(param: Param, key: str, base: DictConfig, groups: set[str], of_groups: list[str]) -> None:
    numeric = not isinstance(param.distribution, CategoricalDistribution)
    bare = key.lstrip("+")
    if bare in groups or key.startswith("+"):
        return
    task = {str(name): base[name] for name in base if name != "hydra" and not OmegaConf.is_missing(base, name)}
    plain = OmegaConf.to_container(OmegaConf.create({k: v for k, v in task.items() if OmegaConf.is_config(v)}))
    known = [name for name, _ in flatten(plain)] + [k for k, v in task.items() if not OmegaConf.is_config(v)]  # type: ignore[arg-type]
    if key not in known and OmegaConf.select(base, key, default=None) is None:
        where = f" with {', '.join(of_groups)}" if of_groups else ""
        raise ExpError(f"{key}: the config{where} has no such parameter{nearest(key, [*known, *groups])}")
    value = OmegaConf.select(base, key, default=None)
    if numeric and isinstance(value, str | bool):
        raise ExpError(f"{key} is {value!r}, not a number: an interval or range cannot vary it; use choice(...)")


def _check_config(check: Callable[[DictConfig], None], config: DictConfig, swept: Mapping[str, str]) -> None:
    from hydra.core.hydra_config import HydraConfig

    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        check(config)
    except ExpError as error:
        words = " ".join(f"{key}={value}" for key, value in swept.items())
        raise ExpError(f"a trial with {words}: {error}") from None
    finally:
        HydraConfig.instance().cfg = before


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
