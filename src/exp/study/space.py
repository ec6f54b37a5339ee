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

from exp.compat.hydra_optuna_sweeper import grid_values, parsed
from exp.config.grammar import null_choice
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
        value = type(low)(float(next(iter(text.values()))))
    except ValueError:
        raise ExpError(f"enqueue: {where} is no number") from None
    if not low <= value <= high:
        raise ExpError(f"enqueue: {where} lies outside {low} to {high}")
    return value


def read_space(
    params: Mapping[str, Any] | None,
    when: Mapping[str, Any] | None,
    link: Sequence[Sequence[str]] | None,
    arguments: Sequence[str],
    known: Mapping[str, str],
) -> Space:
    """Reads `hydra.sweeper.params` (Hydra's sweep grammar), `when`, `link` and the command line, which wins.

    Raises ExpError naming the parameter that cannot be read.
    """
    found: dict[str, tuple[BaseDistribution, Conditions]] = {}
    fixed: dict[str, str] = {}
    deleted: list[str] = []
    for text in [*(f"{key}={value}" for key, value in (params or {}).items()), *arguments]:
        distributions, values, removed = _read(text)
        for name, distribution in distributions.items():
            found[name] = (distribution, ())
            fixed.pop(name, None)
        for name, value in values.items():
            fixed[name] = str(value)
            found.pop(name, None)
        deleted += removed
    params_list = [Param(name, (name,), dist, conds) for name, (dist, conds) in found.items()]
    params_list = _join_linked(params_list, link or [])
    by_command = {text.partition("=")[0] for text in arguments}
    for param in _conditional(when or {}, ()):
        if param.keys[0] not in by_command:  # the command line wins over a condition too
            params_list.append(param)
    _check_conditions(params_list, {**known, **fixed})
    return Space(tuple(_with_unique_names(params_list)), fixed, tuple(deleted), known)


def _read(text: str) -> tuple[dict[str, BaseDistribution], dict[str, Any], list[str]]:
    text = null_choice(text)
    key, _, value = text.partition("=")
    if value.replace(" ", "") in ("choice()", "choice", "range()", "interval()"):
        raise ExpError(f"{key}={value} holds nothing to choose from: write e.g. {key}=choice(1,2)")
    try:
        return parsed([text])
    except Exception as error:  # Hydra's grammar, Optuna's ranges: each has its own exceptions
        lines = [
            line for line in str(error).splitlines() if not line.startswith(("Error when parsing index", "See http"))
        ]
        cause = " ".join(" ".join(lines).split()) or type(error).__name__
        raise ExpError(f"cannot read the parameter {text}: {cause}") from error


def _conditional(branches: Mapping[str, Any], outer: Conditions) -> list[Param]:
    params: list[Param] = []
    for condition, content in branches.items():
        conditions = (*outer, *_parse_condition(str(condition)))
        if not isinstance(content, Mapping):
            raise ExpError(f"when.{condition} holds parameters and their ranges, not {content!r}")
        for key, value in content.items():
            if key == "when":
                if not isinstance(value, Mapping):
                    raise ExpError(f"when.{condition}.when holds conditions, not {value!r}")
                params += _conditional(value, conditions)
                continue
            distributions, fixed, _ = _read(f"{key}={value}")
            for name, distribution in distributions.items():
                params.append(Param(name, (name,), distribution, conditions))
            for name, single in fixed.items():  # a single value, set only in this branch
                params.append(Param(name, (name,), CategoricalDistribution([single]), conditions))
    return params


def _parse_condition(text: str) -> Conditions:
    conditions = []
    for part in text.split(","):
        key, equals, values = part.strip().partition("=")
        if not equals or not values:
            raise ExpError(f"when: {text!r} is no condition: write parameter=value or parameter=value|other")
        conditions.append((key, tuple(values.split("|"))))
    return tuple(conditions)


def _check_conditions(params: Sequence[Param], known: Mapping[str, str]) -> None:
    ahead: dict[str, list[Param]] = {}
    for param in params:
        for key, values in param.when:
            if key not in ahead and key not in known:
                raise ExpError(
                    f"when: {key}={'|'.join(values)} names no parameter of the search and no group of the "
                    f"config{nearest(key, [*ahead, *known])}"
                )
            for value in values if key in ahead else ():
                choices = [p.overrides(probe).get(key) for p in ahead[key] for probe in p.probes()]
                if all(isinstance(p.distribution, CategoricalDistribution) for p in ahead[key]) and (
                    value not in choices
                ):
                    raise ExpError(f"when: {key} is never {value}{nearest(value, [str(c) for c in choices])}")
        for key in param.keys:
            ahead.setdefault(key, []).append(param)


def _join_linked(params: list[Param], link: Sequence[Sequence[str]]) -> list[Param]:
    by_name = {param.name: param for param in params}
    for names in link:
        missing = [name for name in names if name not in by_name]
        if missing:
            raise ExpError(f"link: {missing[0]} is no parameter of this search{nearest(missing[0], by_name)}")
        columns = []
        for name in names:
            distribution = by_name[name].distribution
            if not isinstance(distribution, CategoricalDistribution):
                raise ExpError(f"link: {name} must be a choice(...) to be walked in step with {', '.join(names)}")
            columns.append(distribution.choices)
        if len({len(column) for column in columns}) > 1:
            sizes = ", ".join(f"{name} has {len(column)}" for name, column in zip(names, columns, strict=True))
            raise ExpError(f"link: linked parameters need equally many choices, and {sizes}")
        rows = {", ".join(map(str, row)): row for row in zip(*columns, strict=True)}
        first = params.index(by_name[names[0]])
        joint = Param(" + ".join(names), tuple(names), CategoricalDistribution(list(rows)), (), rows)
        params = [joint if i == first else p for i, p in enumerate(params) if i == first or p.name not in names]
    return params


def _with_unique_names(params: Sequence[Param]) -> Iterator[Param]:
    """Optuna keeps one distribution a name, so the same key in two branches gets the branch into its name."""
    for param in params:
        twins = [other for other in params if other.name == param.name]
        if len(twins) > 1 and len({distribution_to_json(other.distribution) for other in twins}) > 1:
            branch = ",".join(f"{key}={'|'.join(values)}" for key, values in param.when)
            yield Param(f"{param.name} [{branch}]", param.keys, param.distribution, param.when, param.rows)
        else:
            yield param
