"""Rows from JSON: one object a line, an array of objects, an array under a key of an object, or SQuAD's articles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from exp.data.encoding import read_text
from exp.data.read_options import ReadOptions
from exp.data.rows import Rows, Source, Unit
from exp.data.squad import flattened, is_nested
from exp.errors import ExpError, nearest

_SPACE = re.compile(r"[ \t\r\n]*")
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")  # half of a UTF-16 pair, as JSON may write an emoji
_DECODER = json.JSONDecoder()


def read_json(path: Path, options: ReadOptions) -> Rows:
    """Lists and objects stay as they are; a key that a row lacks becomes None. Raises ExpError, with file and line."""
    text = read_text(path, options.encoding)
    begin = _after_space(text, 0)
    if text.startswith("[", begin):
        rows = _array_rows(path, text, begin, options)
    elif _is_one_object(path, text, begin):
        rows = _rows_of_object(path, text, begin, options)
    else:
        rows = _rows_of_lines(path, text, options)
    if _HALF_PAIR.search(text):
        _refuse_half_pairs(rows)
    return flattened(rows) if is_nested(rows) else rows


def _rows_of_lines(path: Path, text: str, options: ReadOptions) -> Rows:
    if options.records_key is not None:
        raise ExpError(f"{path} holds one object a line, so its rows are under no key; set data.records_key to null")
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits too
            raise ExpError(f"{path}, line {number}: not JSON ({_why(error)}); give one object a line") from error
        if not isinstance(value, dict):
            raise ExpError(f"{path}, line {number}: {type(value).__name__} found; give one JSON object a line")
        objects.append(value)
        lines.append(number)
    return _rows(path, objects, lines, "line")


def _array_rows(path: Path, text: str, begin: int, options: ReadOptions) -> Rows:
    if options.records_key is not None:
        raise ExpError(f"{path} is an array, so its rows are under no key; set data.records_key to null")
    values, places, end = _array(path, text, begin)
    _require_end(path, text, end)
    return _placed_rows(path, text, values, places)


def _is_one_object(path: Path, text: str, begin: int) -> bool:
    """Whether the file is a single object with rows under a key, and not one object a line."""
    if path.suffix.lower() in (".jsonl", ".ndjson") or not text.startswith("{", begin):
        return False
    line_end = text.find("\n", begin)
    if line_end < 0 or not text[line_end:].strip():
        return True
    try:
        json.loads(text[begin:line_end])
    except (ValueError, RecursionError):
        # A line that is broken ends with the object's brace, one of an indented object seldom does.
        return not text[begin:line_end].rstrip().endswith("}")
    return False


def _rows_of_object(path: Path, text: str, begin: int, options: ReadOptions) -> Rows:
    whole, fields = _object(path, text, begin)
    key = options.records_key
    if key is None:
        holders = [name for name, value in whole.items() if _is_list_of_objects(value)]
        if not holders and "\n" not in text.strip():
            return _rows(path, [whole], [1], "line")
        if len(holders) != 1:
            keys = ", ".join(holders or whole)
            what = "several keys hold" if holders else "no key holds"
            raise ExpError(
                f"{path}: {what} a list of objects ({keys}); name the key of the rows with data.records_key="
            )
        key = holders[0]
    if key not in whole:
        raise ExpError(f"{path}: data.records_key={key}: there is no such key{nearest(key, whole)}")
    if not _is_list_of_objects(whole[key]):
        raise ExpError(f"{path}: data.records_key={key}: that key holds no list of objects")
    values, places, _ = _array(path, text, fields[key])
    return _placed_rows(path, text, values, places)


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


# ---- JSON with the place of each value ----


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _value(path: Path, text: str, place: int) -> tuple[Any, int]:
    """The value at `place`, and the place of what follows it and its white space."""
    try:
        value, end = _DECODER.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise ExpError(f"{path}, line {error.lineno}: not JSON ({_why(error)})") from error
    except (ValueError, RecursionError) as error:
        raise ExpError(f"{path}, line {_line(text, place)}: not JSON that can be read ({_why(error)})") from error
    return value, _after_space(text, end)


def _array(path: Path, text: str, place: int) -> tuple[list[Any], list[int], int]:
    """Elements of the array at `place`, the place of each, and the place behind the array."""
    values: list[Any] = []
    places: list[int] = []
    place = _after_space(text, place + 1)
    if text.startswith("]", place):
        return values, places, place + 1
    while True:
        places.append(place)
        value, place = _value(path, text, place)
        values.append(value)
        if text.startswith("]", place):
            return values, places, place + 1
        place = _after_space(text, _require(path, text, place, ",", "a comma or ] expected"))


def _object(path: Path, text: str, place: int) -> tuple[dict[str, Any], dict[str, int]]:
    """The object at `place`, which the text ends with, and the place of each key's value."""
    whole, end = _value(path, text, place)
    _require_end(path, text, end)
    fields: dict[str, int] = {}
    place = _after_space(text, place + 1)
    while not text.startswith("}", place):
        key, place = _value(path, text, place)
        place = _after_space(text, _require(path, text, place, ":", "a colon expected"))
        fields[key] = place
        _, place = _value(path, text, place)
        if text.startswith(",", place):
            place = _after_space(text, place + 1)
    return whole, fields


def _require(path: Path, text: str, place: int, character: str, why: str) -> int:
    if not text.startswith(character, place):
        raise ExpError(f"{path}, line {_line(text, place)}: not JSON ({why})")
    return place + 1


def _require_end(path: Path, text: str, place: int) -> None:
    place = _after_space(text, place)
    if place < len(text):
        raise ExpError(
            f"{path}, line {_line(text, place)}: more text behind the end of the JSON; "
            f"give one array, or one object a line"
        )


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]


# ---- rows ----


def _placed_rows(path: Path, text: str, values: list[Any], places: list[int]) -> Rows:
    """Counted by their lines where each row has one of its own, else by their number."""
    lines: list[int] = []
    line, before = 1, 0
    for place in places:
        line += text.count("\n", before, place)
        before = place
        lines.append(line)
    own_lines = len(set(lines)) == len(lines)
    numbers = lines if own_lines else list(range(1, len(values) + 1))
    unit: Unit = "line" if own_lines and "\n" in text.strip() else "row"
    for number, value in zip(numbers, values, strict=True):
        if not isinstance(value, dict):
            raise ExpError(f"{path}, {unit} {number}: {type(value).__name__} found; give an array of objects")
    return _rows(path, values, numbers, unit)


def _rows(path: Path, objects: list[dict[str, Any]], numbers: list[int], unit: Unit) -> Rows:
    names = {name: None for value in objects for name in value}
    columns = {name: [value.get(name) for value in objects] for name in names}
    return Rows(path, columns, numbers, sources=[Source(path, unit)] * len(objects))


def _refuse_half_pairs(rows: Rows) -> None:
    """JSON can write half of a UTF-16 pair, which is no character: nothing downstream can store it."""
    for name, cells in list(rows.columns.items()):
        for row, cell in enumerate(cells):
            half = half_pair(cell)
            if half is not None:
                rows.refused[name] = (
                    f"{rows.where(row)}: column {name!r} holds \\u{ord(half):04x}, half of a surrogate pair "
                    f"(a cut emoji?), which is no text; mend that row"
                )
                del rows.columns[name]
                break


def half_pair(value: Any) -> str | None:
    if isinstance(value, str):
        if value.isascii():
            return None
        return next((character for character in value if "\ud800" <= character <= "\udfff"), None)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return next((half for item in value if (half := half_pair(item)) is not None), None)
    return None
