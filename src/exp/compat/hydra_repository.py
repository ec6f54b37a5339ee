"""Hydra's repository of options and its loader, not public: every config is parsed and merged anew, which is nearly all
of the time of composing.

tests/compat/test_hydra.py notices a change.
"""

from __future__ import annotations

import functools
import os
import pickle
from typing import Any

import omegaconf.base
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import ResultDefault
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, grammar_parser

# Pickled, because Hydra changes what it gets: unpickling is seven times as fast as copying, thirty as parsing.
_parsed: dict[tuple[Any, ...], bytes] = {}
_merged: dict[tuple[Any, ...], bytes] = {}  # the last ones used come last
KEPT = 128  # merged configs, of 20 KB
merge = ConfigLoaderImpl._compose_config_from_defaults_list

# OmegaConf parses an interpolation each time that it is read. What comes out is only read.
vars(omegaconf.base)["parse"] = functools.lru_cache(maxsize=1024)(grammar_parser.parse)


class ParsedOnce(ConfigRepository):
    """Parses a file once a state of it, for all that this process composes."""

    def load_config(self, config_path: str) -> ConfigResult | None:
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is None or source.scheme() not in ("file", "pkg"):
            return super().load_config(config_path)
        state: tuple[int, ...] = ()  # what an installed package brings stays as it is
        if source.scheme() == "file":
            found = os.stat(os.path.join(source.path, source._normalize_file_name(config_path)))  # noqa: PTH116, PTH118
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
        key = (source.scheme(), source.provider, source.path, config_path, *state)
        if key not in _parsed:
            _parsed[key] = pickle.dumps(super().load_config(config_path), pickle.HIGHEST_PROTOCOL)
        result: ConfigResult = pickle.loads(_parsed[key])
        result.state = key  # type: ignore[attr-defined]
        return result


def merged_once(loader: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
    """Merges the same options, each in one state, once; values are put in afterwards."""
    key = tuple(_state_of(default, repo) for default in defaults)
    held = _merged.pop(key, None)
    if held is None:
        merged: DictConfig = merge(loader, defaults, repo)
        if None in key:
            return merged
        held = pickle.dumps(merged, pickle.HIGHEST_PROTOCOL)
    _merged[key] = held
    if len(_merged) > KEPT:
        del _merged[next(iter(_merged))]
    config: DictConfig = pickle.loads(held)
    return config


def _state_of(default: ResultDefault, repo: IConfigRepository) -> tuple[Any, ...] | None:
    """Of an option's file and of its place in the config. None where it is in no file, nor Hydra's own."""
    found = repo.load_config(default.config_path or "")
    if found is None:
        return None
    state = getattr(found, "state", None)
    if state is None and found.path.startswith("structured://"):
        state = (found.provider, found.path)
    return state and (*state, default.config_path, default.package, default.primary, *found.header.items())


def parse_once(loader: ConfigLoader) -> ConfigLoader:
    """`loader`, which no longer parses a file that it has parsed, nor merges what it has merged."""
    assert isinstance(loader, ConfigLoaderImpl)
    loader.repository = ParsedOnce(loader.config_search_path)
    vars(loader)["_compose_config_from_defaults_list"] = functools.partial(merged_once, loader)
    return loader
