"""What a config alone shows to be wrong, found before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from exp.config import rules
from exp.config.targets import check_node
from exp.errors import ExpError, nearest
from exp.options.confdir import conf_dir, groups
from exp.options.option import construct
from exp.options.other_names import known_as
from exp.options.outside import parts
from exp.options.settings import RootSettings
from exp.run.identity import ADDED, flatten

LISTED = "; python -m exp.train --cfg job lists every key"
# Groups that a run cannot be without. A tracker may have no member.
NEEDED = (
    *("task", "data", "model", "adapter", "optimizer", "scheduler", "loop"),
    *("precision", "distributed", "tracker", "speed", "hub"),
)
OLDER_LACK = ("cost",)  # nodes of conf/train.yaml that a run which is older than them does without

# Groups of which a run takes any number of options, each under its own name.
SEVERAL = ("tracker", "callbacks")


def check(cfg: DictConfig, choices: Mapping[str, Any]) -> None:
    """Constructs every option of the config.

    Args:
        cfg: The composed config; it may hold Hydra's own node.
        choices: Hydra's group choices.

    Raises:
        ExpError: The first thing that cannot work.
    """
    settings = {one.name for one in fields(RootSettings)}
    older = {key: value for key, value in ADDED.items() if key in settings}  # of a run that is older than a key
    there = {str(key) for key in cfg}
    for key in (*sorted(settings - set(older)), *NEEDED):
        if key not in there:
            raise ExpError(f"{key} is missing from the config: {_mend(key)}")
    _nothing_missing(cfg, choices)
    config = {**older, **_plain(cfg)}
    _root_keys(config, settings, {*groups(), *(group for group in choices if "/" not in group)})
    construct(RootSettings, {key: value for key, value in config.items() if key in settings}, "")
    rules.check_files(config)  # before an option looks into one
    options = {
        where: check_node(node, where)
        for key, group in config.items()
        if key not in settings
        for where, node in _nodes(key, group).items()
    }
    rules.check_rules(config, choices, options)
    parts("verdict")  # nobody chooses them: every run is judged by all


def _nothing_missing(cfg: DictConfig, choices: Mapping[str, Any]) -> None:
    """Interpolations are not followed: one to a missing key is that key's fault."""
    written: Any = OmegaConf.to_container(cfg, resolve=False)
    missing = sorted(key for key, value in flatten(written) if value == "???" and not key.startswith("hydra."))
    if missing:
        group = missing[0].partition(".")[0]
        why = f"{group}={choices[group]} needs it" if choices.get(group) else "it has no default"
        more = f" (also needed: {', '.join(missing[1:])})" if missing[1:] else ""
        raise ExpError(f"{missing[0]} is not given, and {why}: add {missing[0]}=...{more}")


def _plain(cfg: DictConfig) -> dict[str, Any]:
    """Plain containers without Hydra's node, interpolations resolved."""
    plain: dict[str, Any] = {}
    for key in cfg:
        if key == "hydra":
            continue
        try:
            value = cfg[key]
            plain[str(key)] = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        except OmegaConfBaseException as error:
            cause = str(error).splitlines()[0].rpartition("while resolving interpolation: ")[2].strip('"')
            raise ExpError(f"{getattr(error, 'full_key', None) or str(key)}: {cause}") from None
        except RecursionError:
            raise ExpError(f"{key!s}: its interpolation ${{...}} leads back to itself; write a value") from None
    return plain


def _root_keys(config: Mapping[str, Any], settings: set[str], groups: set[str]) -> None:
    known = {*settings, *NEEDED, *OLDER_LACK, *groups}
    for key, value in config.items():
        if key not in known:
            raise ExpError(f"{key}: no such key{known_as(key) or nearest(key, known) or LISTED}")
        if key not in settings and not isinstance(value, dict):
            raise ExpError(f"{key}={value!r} has the wrong type: it takes an option of the group conf/{key}/")


def _mend(key: str) -> str:
    options = sorted(file.stem for file in (conf_dir() / key).glob("*.yaml"))
    return f"choose one, {key}=... ({', '.join(options)})" if options else f"leave out ~{key}"


def _nodes(key: str, group: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The options of a group by their place in the config: one, or each member of `tracker` and `callbacks`."""
    if key not in SEVERAL or "_target_" in group:
        if "_target_" not in group:
            raise ExpError(f"{key} has no option in the config: {_mend(key)}")
        return {key: group}
    for name, node in group.items():
        if not isinstance(node, dict):
            raise ExpError(f"{key}.{name}={node!r} has the wrong type: it takes an option of the group conf/{key}/")
    return {f"{key}.{name}": node for name, node in group.items()}
