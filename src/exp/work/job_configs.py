"""The configs of a sweep's jobs. Those that choose the same options differ in values alone, so what they share is
composed once: composing takes a tenth of a second, which is most of what a study adds to a short trial."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf, open_dict

from exp.compat.hydra import put_values

VALUE = re.compile(r"([A-Za-z_]\w*)((?:\.\w+)*)=")  # key=value
OPTION = re.compile(r"[A-Za-z_][\w/]*=")  # group=option; neither +key, ~key nor group@package=option
SUBDIR = "hydra.sweep.subdir="  # the one value of Hydra's own that jobs of a sweep differ in
KEPT = 64  # compositions: a study over options has one for each choice


class JobConfigs:
    """`master` is the config of the whole sweep or table; a job's overrides come after its."""

    def __init__(self, master: DictConfig, loader: ConfigLoader) -> None:
        self.master, self.loader = master, loader
        self.shared: dict[tuple[str, ...], bytes] = {}  # copying by pickle takes a third of the time of copy.deepcopy
        written: Any = OmegaConf.to_container(master, resolve=False)
        self.words = written["hydra"]["overrides"]["hydra"]
        groups = set(master.hydra.runtime.choices)
        self.settings = {key for key, value in written.items() if not isinstance(value, dict)} - groups

    def __reduce__(self) -> Any:
        """A worker composes its own."""
        return JobConfigs, (self.master, self.loader)

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """What Hydra's `load_sweep_config` gives for them, a config of its own for each call.

        Hydra applies values after all options are merged, in whatever order the two come.
        """
        values = [one for one in overrides if self._is_value(one)]
        options = tuple(one for one in overrides if not self._is_value(one))
        if not values or not all(OPTION.match(one) for one in options):
            return self.loader.load_sweep_config(self.master, list(overrides))
        if options not in self.shared:
            if len(self.shared) == KEPT:
                self.shared.clear()
            self.shared[options] = pickle.dumps(self.loader.load_sweep_config(self.master, list(options)))
        config = pickle.loads(self.shared[options])
        if not put_values(config, values):
            return self.loader.load_sweep_config(self.master, list(overrides))  # which says what is wrong
        OmegaConf.copy_cache(from_config=self.master, to_config=config)
        with open_dict(config.hydra):
            own = [one for one in overrides if one.startswith(("hydra.", "hydra/"))]
            config.hydra.overrides.hydra = [*self.words, *own]
            config.hydra.overrides.task = [one for one in overrides if one not in own]
        return config

    def _is_value(self, override: str) -> bool:
        found = VALUE.match(override)
        if found is None or found[1] == "hydra":
            return override.startswith(SUBDIR)
        return bool(found[2]) or found[1] in self.settings  # no group has a dot in its name
