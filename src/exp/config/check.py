"""What a config alone shows to be wrong, found in milliseconds: keys, types, and combinations (exp.config.rules)."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from exp.config import rules
from exp.config.confdir import groups, root_keys
from exp.config.settings import TrainingSettings
from exp.config.typed import described, fits
from exp.errors import ExpError, nearest
from exp.saved import hub

# Words of hydra.utils.instantiate, not arguments of the target.
INSTANTIATE = frozenset({"_target_", "_partial_", "_recursive_", "_convert_", "_args_"})
# Root keys that never reach a loop.
OTHER_ROOT = {"resume": "str | None", "init_checkpoint": "str | None", "cache_dir": "str"}
# Groups that a run cannot be without.
NEEDED = ("data", "model", "adapter", "optimizer", "scheduler", "loop", "precision", "tracker")


def check(cfg: DictConfig, choices: Mapping[str, Any]) -> None:
    """Raises ExpError for the first thing that cannot work; `choices` are Hydra's group choices.

    `cfg` may hold Hydra's own node. Targets are imported, which is why they have to be light.
    """
    _nothing_missing(cfg, choices)
    config = _plain(cfg)
    _root(config, {*groups(), *(group for group in choices if "/" not in group)})
    for key, node in config.items():
        for dotted, part in _targets(key, node):
            _arguments(dotted, part)
    rules.check_rules(config, choices)
    _data(config["data"])
    if "hub" in config:  # a run that goes on may be older than it
        hub.check(**{key: value for key, value in config["hub"].items() if key not in INSTANTIATE})


def _nothing_missing(cfg: DictConfig, choices: Mapping[str, Any]) -> None:
    missing = sorted(key for key in OmegaConf.missing_keys(cfg) if not key.startswith("hydra."))
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
            raise ExpError(f"{key!s}: {cause}") from None
    return plain


def _root(config: Mapping[str, Any], groups: set[str]) -> None:
    types = {field.name: str(field.type) for field in dataclasses.fields(TrainingSettings)} | OTHER_ROOT
    known = {*types, *root_keys(), *groups}
    for key, value in config.items():
        if key in types:
            _value(key, value, types[key])
        elif key not in known:
            raise ExpError(f"{key}: no such key{nearest(key, known)}")
        elif key in groups and not isinstance(value, dict):
            raise ExpError(f"{key}={value!r} has the wrong type: it takes an option of the group conf/{key}/")
    for key in (*types, *NEEDED):
        if key not in config:
            raise ExpError(f"{key} is missing from the config; conf/train.yaml has its default")


def _targets(dotted: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield dotted, node
        for key, value in node.items():
            yield from _targets(f"{dotted}.{key}", value)


def _arguments(dotted: str, node: Mapping[str, Any]) -> None:
    parameters = _parameters(dotted, node["_target_"])
    if parameters is None:
        return
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    # What has no default and does not stand in the YAML either is given when the part is built.
    known = [
        name
        for name, parameter in parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
        and (parameter.default is not inspect.Parameter.empty or name in node)
    ]
    for key, value in node.items():
        if key in INSTANTIATE:
            continue
        if key in known:
            annotation = parameters[key].annotation
            if isinstance(annotation, str) and not (isinstance(value, dict) and "_target_" in value):
                _value(f"{dotted}.{key}", value, annotation)
        elif not anything:
            raise ExpError(f"{dotted}.{key}: no such key{nearest(key, known)}")


def _data(node: Mapping[str, Any]) -> None:
    """A data option's module may offer `check` with the target's arguments; it reads no rows."""
    module, _, _ = node.get("_target_", "").rpartition(".")
    if module.startswith("exp.data."):
        check_data = getattr(importlib.import_module(module), "check", None)
        if check_data is not None:
            accepted = inspect.signature(check_data).parameters
            check_data(**{key: value for key, value in node.items() if key in accepted})


def _parameters(dotted: str, target: str) -> Mapping[str, inspect.Parameter] | None:
    """Of the callable that `target` names; None for a library's, which may be heavy to import."""
    module, _, name = target.rpartition(".")
    if not module.startswith("exp."):
        return None
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ExpError(f"{dotted}._target_={target} cannot be imported: {error}") from error
    return inspect.signature(found).parameters


def _value(key: str, value: Any, annotation: str) -> None:
    if not fits(value, annotation):
        shown = "null" if value is None else repr(value)
        raise ExpError(f"{key}={shown} has the wrong type: it takes {described(annotation)}")
