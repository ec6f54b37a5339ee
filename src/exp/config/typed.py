"""Does a config value fit a simple annotation? Annotations are read as text, so nothing heavy is imported."""

from __future__ import annotations

import ast
from typing import Any

WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "None": "null",
    "Path": "a path",
}


def fits(value: Any, annotation: str) -> bool:
    """True as well for every annotation that is not understood: only what is surely wrong is refused."""
    return any(_fits_one(value, part) for part in _split(annotation, "|"))


def described(annotation: str) -> str:
    """The annotation for people: `int | None` is "a whole number or null"."""
    return " or ".join(_described_one(part) for part in _split(annotation, "|"))


def _fits_one(value: Any, annotation: str) -> bool:
    base, arguments = _taken_apart(annotation)
    match base:
        case "None":
            return value is None
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "str" | "Path":
            return isinstance(value, str)
        case "Literal":
            return value in ast.literal_eval(f"({','.join(arguments)},)")
        case "list" | "Sequence" | "Iterable":
            return isinstance(value, list) and all(fits(item, arguments[0]) for item in value if arguments)
        case "tuple":
            return isinstance(value, list) and _fits_tuple(value, arguments)
        case "dict" | "Mapping":
            return isinstance(value, dict)
    return True


def _fits_tuple(value: list[Any], arguments: list[str]) -> bool:
    if not arguments:
        return True
    if arguments[-1] == "...":
        return all(fits(item, arguments[0]) for item in value)
    return len(value) == len(arguments) and all(map(fits, value, arguments))


def _described_one(annotation: str) -> str:
    base, arguments = _taken_apart(annotation)
    match base:
        case "Literal":
            return " or ".join(arguments)
        case "list" | "Sequence" | "Iterable":
            return f"a list, each {described(arguments[0])}" if arguments else "a list"
        case "tuple" if arguments and arguments[-1] != "...":
            return f"a list of {len(arguments)}: " + ", ".join(map(described, arguments))
        case "tuple":
            return f"a list, each {described(arguments[0])}" if arguments else "a list"
        case "dict" | "Mapping":
            return "a mapping"
    return WORDS.get(base, base)


def _taken_apart(annotation: str) -> tuple[str, list[str]]:
    base, bracket, rest = annotation.strip().partition("[")
    return base.rpartition(".")[2], _split(rest[:-1], ",") if bracket else []


def _split(text: str, at: str) -> list[str]:
    """Splits outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "[(") - (character in "])")
        if character == at and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
