"""Hydra's repository of options, not public: it parses every file of every config anew, half of the time of composing.

tests/compat/test_hydra.py notices a change.
"""

from __future__ import annotations

import os
import pickle
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult

# Pickled, because Hydra changes what it gets: unpickling is seven times as fast as copying, thirty as parsing.
_parsed: dict[tuple[Any, ...], bytes] = {}


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
        return result


def parse_once(loader: ConfigLoader) -> ConfigLoader:
    """`loader`, which no longer parses a file that it has parsed."""
    loader.repository = ParsedOnce(loader.config_search_path)  # type: ignore[attr-defined]
    return loader
