"""The configs of a plain sweep that are checked before its first run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig, OmegaConf

from exp.errors import ExpError

MOST = 32  # runs that are all checked, at about 0.1 s each; of more, every value once


def jobs_to_check(cfg: DictConfig, loader: ConfigLoader) -> Iterator[list[str]]:
    """Overrides of jobs that between them have every value of every swept key.

    Args:
        cfg: The sweep's config, with Hydra's node.
        loader: It knows the options that a glob means.

    Raises:
        ExpError: Nothing is swept, so that one run would be trained with no sweep to speak of; or a value twice.
    """
    axes = _axes(cfg, loader)
    if not all(axes):
        raise ExpError("--multirun: a key has no value to try, such as range(1,0); the sweep would have no run")
    for axis in axes:
        for word in axis:
            if axis.count(word) > 1:
                raise ExpError(f"--multirun: {word} is given {axis.count(word)} times, and would be trained as often")
    choices = cfg.hydra.runtime.choices
    if all(len(axis) == 1 for axis in axes) and choices.get("hydra/launcher") == "basic" and not choices.get("sweep"):
        raise ExpError(
            "--multirun has nothing to vary: give a key several values (seed=1,2,3), choose a search (sweep=lr), or "
            "leave --multirun out"
        )
    if math.prod(map(len, axes)) <= MOST:
        yield from map(list, itertools.product(*axes))
        return
    first = [axis[0] for axis in axes]
    yield first
    for at, axis in enumerate(axes):
        for word in axis[1:]:
            yield [*first[:at], word, *first[at + 1 :]]


def _axes(cfg: DictConfig, loader: ConfigLoader) -> list[list[str]]:
    """The words of each key, one for each of its values; the command line's take the place of hydra.sweeper.params."""
    params = OmegaConf.select(cfg, "hydra.sweeper.params") or {}
    words = [*(f"{key}={value}" for key, value in params.items()), *cfg.hydra.overrides.task]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(words)
    return list({override.get_key_element(): _values(override) for override in parsed}.values())


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    key = override.get_key_element()
    if override.is_discrete_sweep():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    value = override.value()
    assert isinstance(value, IntervalSweep)  # for hydra/sweeper=optuna, which draws from it
    return [f"{key}={value.start}", f"{key}={value.end}"]
