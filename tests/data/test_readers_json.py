from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exp.data.readers import ReadOptions, header_of, read
from exp.errors import ExpError

ROWS = [{"tokens": ["a", "ß"], "id": 2**70, "nested": {"k": [1.5, None]}}, {"id": -1, "flag": True}]
COLUMNS = {
    "tokens": [["a", "ß"], None],
    "id": [2**70, -1],
    "nested": [{"k": [1.5, None]}, None],
    "flag": [None, True],
}


def get(tmp_path: Path, content: str, name: str = "a.json", **options):
    (tmp_path / name).write_text(content)
    return read(tmp_path / name, ReadOptions(**options))


@pytest.mark.parametrize(
    ("content", "options", "places"),
    [
        ("\n".join(map(json.dumps, ROWS)), {}, ["line 1", "line 2"]),
        ("\r\n\r\n".join(map(json.dumps, ROWS)) + "\r\n", {}, ["line 1", "line 3"]),
        (json.dumps(ROWS), {}, ["row 1", "row 2"]),
        (json.dumps(ROWS, indent=2), {}, ["line 2", "line 15"]),
        ("[" + ",\n".join(map(json.dumps, ROWS)) + "]", {}, ["line 1", "line 2"]),
        (json.dumps({"version": [1], "data": ROWS}), {}, ["row 1", "row 2"]),
        (json.dumps({"data": ROWS, "other": [{"a": 1}]}, indent=1), {"records_key": "data"}, ["line 3", "line 16"]),
        (json.dumps({"da\\t}a,[": ROWS}), {"records_key": "da\\t}a,["}, ["row 1", "row 2"]),
    ],
)
def test_lines_arrays_and_rows_under_a_key(tmp_path: Path, content: str, options: dict, places: list[str]) -> None:
    rows = get(tmp_path, content, **options)
    assert rows.columns == COLUMNS
    assert [rows.where(row).rpartition(", ")[2] for row in range(2)] == places
    assert header_of(tmp_path / "a.json", ReadOptions(**options)) == list(COLUMNS)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({"a": VALUES, "b": VALUES}), min_size=1, max_size=4),
    indent=st.sampled_from([None, 1]),
    key=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=4),
    ascii_only=st.booleans(),
)
def test_what_the_json_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows, indent, key, ascii_only
) -> None:
    path = tmp_path_factory.mktemp("written") / "a.json"
    whole = rows if key is None else {"before": [rows[0]], key: rows}
    path.write_text(json.dumps(whole, indent=indent, ensure_ascii=ascii_only), encoding="utf-8", newline="")
    found = read(path, ReadOptions(records_key=key))
    assert found.columns == {name: [row[name] for row in rows] for name in "ab"}
    text = path.read_bytes().decode().split("\n")
    if found.where(0).rpartition(", ")[2].startswith("line"):
        assert all(text[line - 1].lstrip(" [").startswith("{") for line in found.lines)


def test_one_object_is_one_row_where_it_holds_no_rows(tmp_path: Path) -> None:
    assert get(tmp_path, '{"text": "a", "tags": ["x"]}').columns == {"text": ["a"], "tags": [["x"]]}
    assert get(tmp_path, '{"messages": [{"role": "user"}]}\n', "a.jsonl").columns == {"messages": [[{"role": "user"}]]}


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": \n', {}, "a.jsonl, line 2: not JSON"),
        ("a.json", '{"a": }\n{"a": 1}\n', {}, "a.json, line 1: not JSON"),
        ("a.jsonl", '{"a": 1}\n[2]\n', {}, "a.jsonl, line 2: list found"),
        ("a.jsonl", '"text"\n', {}, "a.jsonl, line 1: str found"),
        ("a.json", '[{"a": 1},\n {"a": 2,}]', {}, "a.json, line 2: not JSON"),
        ("a.json", '[{"a": 1}\n {"a": 2}]', {}, "a.json, line 2: not JSON .a comma or ] expected"),
        ("a.json", '[{"a": 1},\n', {}, "a.json, line 2: not JSON"),
        ("a.json", '[{"a": 1}, 5]', {}, "a.json, row 2: int found; give an array of objects"),
        ("a.json", '[\n{"a": 1},\n[5]]', {}, "a.json, line 3: list found"),
        ("a.json", '[{"a": 1}]\n[{"a": 2}]', {}, "a.json, line 2: more text behind the end"),
        ("a.json", '{\n "data": [{"a": 1}]', {}, "a.json, line 2: not JSON"),
        ("a.json", "[]", {}, "no rows"),
        ("a.json", '{"a": [{}], "b": [{}]}', {}, r"several keys hold .*\(a, b\); .*data.records_key="),
        ("a.json", '{\n"text": {"0": "a"}, "label": {"0": 1}}', {}, r"no key holds .*\(text, label\)"),
        ("a.json", '{"data": [{"a": 1}]}', {"records_key": "dat"}, "records_key=dat: .* did you mean 'data'"),
        ("a.json", '{"data": [1]}', {"records_key": "data"}, "holds no list of objects"),
        ("a.json", '[{"a": 1}]', {"records_key": "data"}, "under no key; set data.records_key to null"),
        ("a.jsonl", '{"a": 1}\n{"a": 2}', {"records_key": "data"}, "under no key"),
        ("a.jsonl", '{"a": 1}\n{"a": ' + "9" * 5000 + "}", {}, "a.jsonl, line 2: not JSON"),
        ("a.jsonl", '{"a": 1}\n{"a": ' + "[" * 100_000, {}, "a.jsonl, line 2: not JSON .nested too deeply"),
        ("a.json", "[" * 100_000, {}, "a.json, line 1: not JSON"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(tmp_path: Path, name, content, options, message) -> None:
    with pytest.raises(ExpError, match=message):
        get(tmp_path, content, name, **options)


@pytest.mark.parametrize(
    "cell", ['"\\ud83d cut"', '["a", "\\uDC00"]', '{"k": {"\\ud83d": 1}}', '"\\ude00\\ud83d exchanged"']
)
def test_half_a_character_is_refused_with_its_line_and_column(tmp_path: Path, cell: str) -> None:
    whole = '{"text": "whole \\ud83d\\ude00", "tags": ["\\ud83d\\ude00"], "label": 1}\n'
    rows = get(tmp_path, whole + whole.replace('"whole \\ud83d\\ude00"', cell), "a.jsonl")
    with pytest.raises(ExpError, match=r"a.jsonl, line 2: column 'text' holds \\u[0-9a-f]{4}, half of a surrogate"):
        rows.texts("text")
    assert rows.column("label") == [1, 1], "who does not ask for the column is not bothered"
    assert rows.column("tags")[0] == ["\U0001f600"]
    assert "text" in rows and "text" in (header_of(tmp_path / "a.jsonl", ReadOptions()) or [])


def test_the_header_of_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"a": "x" * 2_000_000}))
    assert header_of(tmp_path / "a.jsonl", ReadOptions()) is None
