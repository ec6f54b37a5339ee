"""A search space from words: Hydra's sweep grammar, conditions and links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, distribution_to_json

from exp.compat.hydra_optuna_sweeper import parsed
from exp.config.grammar import null_choice
from exp.errors import ExpError, nearest
from exp.study.space import Conditions, Param, Space


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
                if not any(_may_be(of, key, value) for of in ahead[key]):
                    raise ExpError(f"when: {key} is never {value}{_drawn(ahead[key], key, value)}")
        if clash := _clash(param.when):
            raise ExpError(f"when: {clash}")
        for key in param.keys:
            ahead.setdefault(key, []).append(param)


def _may_be(param: Param, key: str, value: str) -> bool:
    """Whether the text `value` can be what `key` gets. An interval's numbers can be enqueued."""
    known: Any = param.distribution
    if isinstance(known, CategoricalDistribution):
        return value in [param.overrides(choice)[key] for choice in known.choices]
    try:
        number = type(known.low)(value)
    except ValueError:
        return False
    if not known.low <= number <= known.high or not known.step:
        return bool(known.low <= number <= known.high)
    drawn = known.low + round((number - known.low) / known.step) * known.step
    return bool(param.overrides(drawn)[key] == value)


def _drawn(params: Sequence[Param], key: str, wrong: str) -> str:
    """What `key` gets instead, as the end of a message."""
    known: Any = params[0].distribution
    if isinstance(known, CategoricalDistribution):
        return nearest(wrong, [str(of.overrides(probe)[key]) for of in params for probe in of.probes()])
    return f"; it is drawn from {known.low} to {known.high}" + (f" in steps of {known.step}" if known.step else "")


def _clash(when: Conditions) -> str | None:
    """Two conditions on one key that cannot hold at once."""
    for key in dict.fromkeys(key for key, _ in when):
        asked = [values for name, values in when if name == key]
        if not set(asked[0]).intersection(*asked[1:]):
            return f"{key} is never {' and '.join('|'.join(values) for values in asked)} at once"
    return None


def _join_linked(params: list[Param], link: Sequence[Sequence[str]]) -> list[Param]:
    by_name = {param.name: param for param in params}
    linked = [name for names in link for name in names]
    for names in link:
        if len(names) < 2:
            raise ExpError(f"link: {list(names)} is one parameter or none, and two or more are walked in step")
        missing = [name for name in names if name not in by_name]
        if missing:
            raise ExpError(f"link: {missing[0]} is no parameter of this search{nearest(missing[0], by_name)}")
        if twice := next((name for name in names if linked.count(name) > 1), None):
            raise ExpError(f"link: {twice} is named twice; what is walked in step stands in one list, once")
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
