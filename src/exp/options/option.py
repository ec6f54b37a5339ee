"""An option made from plain values: keys, types and ranges are checked against its declaration.

An option is a dataclass. Its annotations are the types, `annotated_types` the ranges, and its `__post_init__` checks
what one key means for another. Any other callable (a function of the user's) is checked against its signature.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, make_dataclass
from functools import cache
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from exp.errors import ExpError, nearest
from exp.options.other_names import known_as

TYPES = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "a text"}
TYPES |= {"null": "null", "object": "a mapping"}
RANGES = {  # word of a JSON schema -> our words
    "exclusiveMinimum": "above {}",
    "minimum": "{} or more",
    "exclusiveMaximum": "below {}",
    "maximum": "at most {}",
}
OUT_OF_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def construct(declared: type, values: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass `declared`.

    Args:
        declared: Its fields are the only keys that `values` may have.
        values: Plain values, as YAML or JSON has them: a list becomes a tuple where one is declared, a whole number
            is a number too, and a text is never a number.
        where: Dotted key of `values` in the config; "" for the root.

    Raises:
        ExpError: The first key that is unknown or missing, or whose value does not fit.
    """
    check_keys(declared, values, where)
    for key, value in values.items():
        if any(not math.isfinite(number) for number in _floats(value)):
            raise ExpError(f"{_dotted(where, key)}={shown(value)} must be a finite number")
    try:
        return adapter(declared).validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise _explained(error, declared, values, where) from None


def check_keys(declared: type, values: Mapping[str, Any], where: str) -> None:
    """Raises ExpError for a key that the dataclass does not have, or one that it needs and `values` lacks."""
    known = {one.name: one for one in fields(declared) if one.init}
    for key in values:
        if key not in known:
            dotted = _dotted(where, key)
            raise ExpError(f"{dotted}: no such key{known_as(dotted) or nearest(str(key), known)}")
    for key, one in known.items():
        if key not in values and one.default is MISSING and one.default_factory is MISSING:
            raise ExpError(f"{_dotted(where, key)} is missing from the config")
    for key, inner in _inner_dataclasses(declared):
        if isinstance(values.get(key), Mapping):
            check_keys(inner, values[key], _dotted(where, key))


@cache
def _inner_dataclasses(declared: type) -> list[tuple[str, type]]:
    """Fields whose type is, or may be, a dataclass."""
    from typing import get_type_hints

    hints = get_type_hints(declared)
    kinds = ((one.name, kind) for one in fields(declared) for kind in (hints[one.name], *get_args(hints[one.name])))
    return [(name, kind) for name, kind in kinds if isinstance(kind, type) and is_dataclass(kind)]


@cache
def adapter(declared: type) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(declared)
    except PydanticUserError as error:
        raise ExpError(f"{declared.__module__}.{declared.__qualname__} is no option: {_first_line(error)}") from None


@dataclass(frozen=True)
class Signature:
    """What a callable takes, as a dataclass; with `anything`, any other key as well (**kwargs)."""

    declared: type
    anything: bool


def signature_of(target: Callable[..., Any], given: Collection[str], later: bool) -> Signature:
    """The declaration of a dataclass is itself; that of another callable is read off its signature.

    Args:
        target: What `_target_` names.
        given: The keys of the YAML.
        later: Whether arguments without default may come when it is called (`_partial_: true`).
    """
    if isinstance(target, type) and is_dataclass(target):
        return Signature(target, anything=False)
    return _signature(target, frozenset(given), later)


@cache
def _signature(target: Callable[..., Any], given: frozenset[str], later: bool) -> Signature:
    taken: list[Any] = []
    anything = False
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            anything = True
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            continue
        elif parameter.default is not parameter.empty:
            taken.append((name, _type(target, parameter.annotation), field(default=None)))
        elif name in given or not later:
            taken.append((name, _type(target, parameter.annotation)))
        else:
            taken.append((name, Any, field(default=None)))  # known, so that a mistyped key finds it
    name = getattr(target, "__name__", "Arguments")
    return Signature(make_dataclass(name, taken, kw_only=True), anything)


def _type(target: Callable[..., Any], annotation: Any) -> Any:
    """The annotation where it can be checked, else Any: only what is surely wrong is refused."""
    function = inspect.unwrap(target.__init__ if isinstance(target, type) else target)  # type: ignore[misc]
    try:
        kind = eval(annotation, function.__globals__) if isinstance(annotation, str) else annotation  # type: ignore[attr-defined]
        TypeAdapter(kind).json_schema()
    except Exception:  # a name under TYPE_CHECKING, a class of a library
        return Any
    return Any if kind is inspect.Parameter.empty else kind


def _explained(error: ValidationError, declared: type, values: Mapping[str, Any], where: str) -> ExpError:
    errors = error.errors(include_url=False)
    first = errors[0]
    if first["type"] == "value_error":
        cause = first["ctx"]["error"]
        return cause if isinstance(cause, ExpError) else ExpError(f"{where or 'the settings'}: {cause}")
    if not first["loc"]:
        return ExpError(f"{where or 'the settings'} cannot be read: {first['msg']}")
    key = str(first["loc"][0])
    said = f"{_dotted(where, key)}={shown(values[key])}"
    schema = _schema(declared)["properties"][key]
    mine = [one for one in errors if one["loc"][0] == key]
    outside = next((one for one in mine if one["type"] in OUT_OF_RANGE), None)
    if outside is not None:
        item = "" if outside["input"] == values[key] else f": {shown(outside['input'])}"
        return ExpError(f"{said}{item} must be {_range(schema, outside)}")
    length = next((one for one in mine if one["type"] in ("too_short", "too_long")), None)
    if length is not None:
        most = length["ctx"].get("max_length")
        bound = f"at most {most}" if most else f"at least {length['ctx']['min_length']}"
        return ExpError(f"{said} has the wrong length: it takes {bound}")
    if isinstance(values[key], str) and (choices := _choices(schema)):
        return ExpError(f"{said[: said.index('=')]}={values[key]}: no such choice{nearest(values[key], choices)}")
    return ExpError(f"{said} has the wrong type: it takes {described(schema)}")


def json_schema(declared: type) -> dict[str, Any]:
    """The JSON schema of a dataclass, with references to other dataclasses filled in."""
    return copy.deepcopy(_schema(declared))


@cache
def _schema(declared: type) -> dict[str, Any]:
    """Made once: pydantic takes milliseconds for it."""
    found = adapter(declared).json_schema()
    filled: dict[str, Any] = _filled(found, found.get("$defs", {}))
    return filled


def _filled(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_filled(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _filled(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {key: _filled(value, definitions) for key, value in node.items() if key not in ("$defs", "title")}


def described(schema: Mapping[str, Any]) -> str:
    """A JSON schema for people: `int | None` is "a whole number or null"."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(described(one) for one in schema["anyOf"]))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"a list of {len(schema['prefixItems'])}: " + ", ".join(map(described, schema["prefixItems"]))
        return f"a list, each {described(schema['items'])}" if schema.get("items") else "a list"
    return TYPES.get(schema.get("type", ""), "another value")


def ranges(schema: Mapping[str, Any]) -> str:
    """`, above 0` and the like, as far as all its numbers have one range; else nothing."""
    found = {_bounds(one) for one in _numbers(schema)} - {""}
    return f", {found.pop()}" if len(found) == 1 else ""


def _range(schema: Mapping[str, Any], error: Any) -> str:
    """The whole range of the number that broke a bound; the bound alone where several numbers are declared."""
    ranges = {_bounds(one) for one in _numbers(schema)} - {""}
    if len(ranges) == 1:
        return ranges.pop()
    (bound,) = error["ctx"].values()
    return dict(zip(OUT_OF_RANGE, RANGES.values(), strict=True))[error["type"]].format(bound)


def _bounds(schema: Mapping[str, Any]) -> str:
    return " and ".join(words.format(schema[key]) for key, words in RANGES.items() if key in schema)


def _numbers(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if schema.get("type") in ("integer", "number"):
        yield schema
    for inner in (*schema.get("anyOf", ()), *schema.get("prefixItems", ()), schema.get("items")):
        if isinstance(inner, Mapping):
            yield from _numbers(inner)


def _choices(schema: Mapping[str, Any]) -> list[str]:
    """The words that a key takes, where it takes nothing else but null, true and false."""
    found: list[str] = []
    for one in schema.get("anyOf", [schema]):
        if "const" in one or "enum" in one:
            found += [str(value) for value in one.get("enum", [one.get("const")])]
        elif one.get("type") == "boolean":
            found += ["true", "false"]
        elif one.get("type") == "null":
            found += ["null"]
        else:
            return []
    return found if set(found) - {"true", "false", "null"} else []


def shown(value: Any) -> str:
    """A value as people write it in YAML, on one line."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    text = "[" + ", ".join(map(shown, value)) + "]" if isinstance(value, list) else repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _floats(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _floats(inner)


def _dotted(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
