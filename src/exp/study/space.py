"""The search space: what YAML and the command line say, as Optuna distributions and back as Hydra overrides."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution, distribution_to_json

from exp.compat.hydra_optuna_sweeper import grid_values
from exp.errors import ExpError, nearest

if TYPE_CHECKING:
    import optuna

Conditions = tuple[tuple[str, tuple[str, ...]], ...]  # (config key, values that make it hold), all must hold


@dataclass(frozen=True)
class Param:
    """One dimension. A linked one sets several config keys at once, one row of `rows` for each choice."""

    name: str  # Optuna's
    keys: tuple[str, ...]
    distribution: BaseDistribution
    when: Conditions
    rows: Mapping[str, tuple[Any, ...]] | None = None

    def overrides(self, value: Any) -> dict[str, str]:
        values = self.rows[value] if self.rows is not None else (value,)
        return {key: "null" if item is None else str(item) for key, item in zip(self.keys, values, strict=True)}

    def probes(self) -> list[Any]:
        """Values that show whether the whole range is valid: every choice, or both ends."""
        if isinstance(self.distribution, CategoricalDistribution):
            return list(self.distribution.choices)
        return [self.distribution.low, self.distribution.high]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Space:
    """`fixed` overrides stand in every trial; `known` are the group choices that conditions may name as well."""

    params: tuple[Param, ...]
    fixed: Mapping[str, str]
    deleted: tuple[str, ...]
    known: Mapping[str, str]

    def assign(self, pick: Callable[[Param], Any]) -> dict[str, Any]:
        """Optuna's name and value of each parameter whose conditions hold, asked for in order."""
        chosen: dict[str, Any] = {}
        state = {**self.known, **{key.lstrip("+"): value for key, value in self.fixed.items()}}
        for param in self.params:
            if all(state.get(key) in values for key, values in param.when):
                chosen[param.name] = pick(param)
                state.update(param.overrides(chosen[param.name]))
        return chosen

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        return self.assign(lambda param: _suggested(trial, param))

    def swept(self, chosen: Mapping[str, Any]) -> dict[str, str]:
        """Config keys and the text of their values."""
        values: dict[str, str] = {}
        for param in self.params:
            if param.name in chosen:
                values.update(param.overrides(chosen[param.name]))
        return values

    def overrides(self, chosen: Mapping[str, Any]) -> list[str]:
        """What Hydra composes a trial from, fixed ones first."""
        pairs = {**self.fixed, **self.swept(chosen)}
        return [f"{key}={value}" for key, value in pairs.items()] + list(self.deleted)

    def signature(self) -> dict[str, str]:
        """What makes two studies search the same: each name with its range and conditions."""
        return {
            param.name: distribution_to_json(param.distribution)
            + (" when " + json.dumps(param.when) if param.when else "")
            for param in self.params
        }

    def grid(self) -> dict[str, Sequence[Any]]:
        """All values of each parameter; raises ExpError where a parameter has no end of them."""
        if any(param.when for param in self.params):
            raise ExpError("sampler=grid takes the whole product, so it has no conditional parameters (when:)")
        values: dict[str, Sequence[Any]] = {}
        for param in self.params:
            try:
                values[param.name] = grid_values(param.distribution)
            except ValueError:
                raise ExpError(
                    f"{param.name} is an interval, and sampler=grid needs single values: use choice(...) or range(...)"
                ) from None
        return values

    def enqueued_params(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """An enqueued first guess, by config keys, as Optuna's parameters. Raises ExpError for one outside."""
        text = {key: "null" if value is None else str(value) for key, value in values.items()}
        guessed: dict[str, Any] = {}
        used: set[str] = set()
        for param in self.params:
            if not set(param.keys) <= set(text):
                continue
            guessed[param.name] = _enqueued_value(param, {key: text[key] for key in param.keys})
            used |= set(param.keys)
        if set(text) - used:
            wrong = sorted(set(text) - used)[0]
            known = [key for param in self.params for key in param.keys]
            raise ExpError(f"enqueue: {wrong} is no parameter of this search{nearest(wrong, known)}")
        return guessed

    def probes(self, groups: set[str], limit: int, draws: int) -> Iterator[dict[str, Any]]:
        """Assignments that show the configs that can be composed.

        All of them, if they are `limit` at most. Else all products of group choices (up to `limit`), every choice and
        both ends of each other parameter once in each branch, and `draws` random ones, for what goes wrong in pairs.
        """
        seen: set[str] = set()
        for chosen in self._candidates(groups, limit, draws):
            if (text := repr(sorted(chosen.items()))) not in seen:
                seen.add(text)
                yield chosen

    def _candidates(self, groups: set[str], limit: int, draws: int) -> Iterator[dict[str, Any]]:
        def assigned(values: Mapping[str, Any]) -> dict[str, Any]:
            return self.assign(lambda param: values.get(param.name, param.probes()[0]))

        def products(params: Sequence[Param]) -> Iterator[dict[str, Any]]:
            for row in itertools.product(*(param.probes() for param in params)):
                yield dict(zip((param.name for param in params), row, strict=True))

        if math.prod(len(param.probes()) for param in self.params) <= limit:
            yield from map(assigned, products(self.params))
            return
        of_groups = [param for param in self.params if set(param.keys) & groups]
        shown: set[tuple[str, Any]] = set()
        for branch in itertools.islice(products(of_groups), limit):
            base = assigned(branch)
            yield base
            for param in self.params:
                if param.name in base and param not in of_groups:
                    fresh = [value for value in param.probes() if (param.name, value) not in shown]
                    shown.update((param.name, value) for value in fresh)
                    yield from (assigned({**base, param.name: value}) for value in fresh)
        draw = random.Random(0)
        for _ in range(draws):
            yield self.assign(lambda param: draw.choice(param.probes()))


def _suggested(trial: optuna.Trial, param: Param) -> Any:
    known: Any = param.distribution
    if isinstance(known, CategoricalDistribution):
        return trial.suggest_categorical(param.name, known.choices)
    suggest: Any = trial.suggest_int if isinstance(known, IntDistribution) else trial.suggest_float
    return suggest(param.name, known.low, known.high, step=known.step, log=known.log)


def _enqueued_value(param: Param, text: Mapping[str, str]) -> Any:
    where = ", ".join(f"{key}={value}" for key, value in text.items())
    if isinstance(param.distribution, CategoricalDistribution):
        for choice in param.distribution.choices:
            if param.overrides(choice) == dict(text):
                return choice
        raise ExpError(f"enqueue: {where} is none of the choices {list(param.distribution.choices)}")
    low, high = param.distribution.low, param.distribution.high  # type: ignore[attr-defined]
    try:
        value = float(next(iter(text.values())))
    except ValueError:
        raise ExpError(f"enqueue: {where} is no number") from None
    if not low <= value <= high:
        raise ExpError(f"enqueue: {where} lies outside {low} to {high}")
    step = param.distribution.step  # type: ignore[attr-defined]
    if step and abs((value - low) / step - round((value - low) / step)) > 1e-8:
        raise ExpError(f"enqueue: {where} is not {low} and some steps of {step}")
    return type(low)(value)
