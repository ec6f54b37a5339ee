from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exp.data.delimited import read_tsv
from exp.data.readers import ReadOptions, header_of, read
from exp.errors import ExpError


def get(tmp_path: Path, content: str | bytes, name: str = "a.csv", **options):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(tmp_path / name, ReadOptions(**options))


# ---- as Python's csv module writes ----

CELLS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\ufeff"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6),
    sep=st.sampled_from([",", ";", "|", "\t"]),
    quotechar=st.sampled_from(['"', "'"]),
    escapechar=st.sampled_from([None, "\\"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
)
def test_what_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows, sep, quotechar, escapechar, quoting
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(
        file,
        delimiter=sep,
        quotechar=quotechar,
        escapechar=escapechar,
        doublequote=escapechar is None,
        quoting=quoting,
        lineterminator="\r\n",  # the module leaves a \r without quotes when lines end with \n
    )
    writer.writerows([("first", "second"), *rows])
    path = tmp_path_factory.mktemp("written") / "a.csv"
    path.write_bytes(file.getvalue().encode())
    options = ReadOptions(sep=sep, quotechar=quotechar, escapechar=escapechar)
    found = read(path, options)
    assert list(zip(*found.columns.values(), strict=True)) == rows
    assert header_of(path, options) == ["first", "second"]


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\ufeff\t\n\r"))] * 2),
        min_size=1,
        max_size=6,
    )
)
def test_a_tsv_without_quoting_keeps_every_character(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    path = tmp_path_factory.mktemp("written") / "a.tsv"
    path.write_bytes("".join(f"{a}\t{b}\n" for a, b in [("first", "second"), *rows]).encode())
    found = read(path, ReadOptions(quotechar="none"))
    assert list(zip(*found.columns.values(), strict=True)) == rows
    assert found.lines == list(range(2, len(rows) + 2))
    assert read_tsv(path).columns == found.columns


# ---- how files are written ----


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("text;label\na;x\nb;y\n", {"sep": ";"}),
        ("text|label\na|x\nb|y\n", {"sep": "|"}),
        ("text\tlabel\na\tx\nb\ty\n", {"sep": "\t"}),
        ("text\tlabel\na\tx\nb\ty\n", {"sep": "\\t"}),
        ("text\tlabel\na\tx\nb\ty\n", {"sep": "tab"}),
        ("text\tlabel\na\tx\nb\ty\n", {"format": "tsv"}),
        ("a,x\nb,y\n", {"names": ["text", "label"]}),
        ("a,x\nb,y\n", {"names": ["text", "label"], "header": "infer"}),
        ("'text','label'\n'a','x'\n'b','y'\n", {"quotechar": "'"}),
        ("\ufefftext,label\r\na,x\r\n\r\nb,y\r\n  \n", {}),
        ("text,label\ra,x\rb,y\r", {}),
        ("\n\ntext,label\na,x\nb,y", {}),
    ],
)
def test_dialects(tmp_path: Path, content: str, options: dict) -> None:
    assert get(tmp_path, content, **options).columns == {"text": ["a", "b"], "label": ["x", "y"]}


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    rows = get(tmp_path, "a,x\nb,y\n", header="none")
    assert rows.columns == {"column_1": ["a", "b"], "column_2": ["x", "y"]} and rows.lines == [1, 2]
    assert header_of(tmp_path / "a.csv", ReadOptions(header="none")) == ["column_1", "column_2"]


def test_backslashes_before_quotes(tmp_path: Path) -> None:
    content = 'text,label\n"he said \\"a, b\\"",x\n'
    assert get(tmp_path, content, escapechar="\\").columns["text"] == ['he said "a, b"']
    with pytest.raises(ExpError, match=r"a.csv, line 2: .*set 'data.escapechar=\\'"):
        get(tmp_path, content)


def test_quoted_fields_of_a_tsv_on_request(tmp_path: Path) -> None:
    content = 'text\tlabel\n"a ""b""\nc"\tx\nd\ty\n'
    rows = get(tmp_path, content, "a.tsv", quotechar='"')
    assert rows.columns["text"] == ['a "b"\nc', "d"] and rows.lines == [2, 4]


# ---- names of columns ----


def test_nameless_and_doubled_columns_hurt_only_who_asks(tmp_path: Path) -> None:
    rows = get(tmp_path, "text,label,,text,,unnamed_3\na,x,1,2,3,4\n")
    assert list(rows.columns) == ["text_1", "label", "unnamed_3_", "text_4", "unnamed_5", "unnamed_3"]
    assert rows.texts("label") == ["x"] and rows.texts("text_4") == ["2"] and rows.texts("unnamed_3") == ["4"]
    assert "text" in rows and "label" in rows and "nothing" not in rows
    with pytest.raises(ExpError, match=r"a.csv, line 1: column 'text' occurs 2 times; ask for 'text_1' or 'text_4'"):
        rows.texts("text")
    assert header_of(tmp_path / "a.csv", ReadOptions()) == list(rows.columns)


# ---- what does not fit ----


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", "text,label\na,x\nb\n", {}, r"a.csv, line 3: 1 fields, expected 2 \(text, label\)"),
        ("a.csv", "a\nb,c\n", {}, r"a.csv, line 2: 2 fields, expected 1 \(a\); do data.sep and data.header say"),
        ("a.csv", 'text,label\n"a\nb",x\n"c"d,y\n', {}, "a.csv, line 4: ',' expected after '\"'; .*quotechar=none"),
        ("a.csv", 'text,label\na,x\n"b\nc",y,z\n', {}, "a.csv, line 3: 3 fields"),
        ("a.csv", "text,label\na\rb,x\n", {}, "a.csv, line 2: a carriage return inside a field that is not quoted"),
        ("a.csv", 'text,label\n"a\nb","c\nd\n', {}, 'a.csv, line 3: the " that opens a field here is never closed'),
        ("a.csv", 'text,label\na,x\n"it""s, y\n', {}, 'a.csv, line 3: the " that opens'),
        ("a.csv", "text,label\n'b,x\n", {"quotechar": "'"}, "a.csv, line 2: the ' that opens"),
        ("a.tsv", "text\tlabel\na\tx\nb\ty\tz\n", {}, "a.tsv, line 3: 3 fields"),
        ("a.tsv", 'text\tlabel\na\tx\n"b\nc"\ty\n', {}, r"""line 3: 1 fields, .*set 'data.quotechar="\\""'"""),
        ("a.csv", "text;label\na, b;x\n", {}, r"""a.csv, line 1: one column.*';'; set 'data.sep=";"'"""),
        ("a.csv", "text\tlabel\na\tx\n", {}, "one column.*set data.sep=tab"),
        ("a.csv", "text|label\na|x\n", {}, r"""set 'data.sep="\|"'"""),
        ("a.tsv", "text,label\na,x\n", {}, r"""one column.*set 'data.sep=","'"""),
        ("a.csv", "text,label\na,x\n", {"names": ["text", "label"]}, "names the columns itself"),
        ("a.csv", "a,b,c\n", {"names": ["text", "label"]}, r"line 1: 3 fields, expected 2 \(text, label\)"),
        ("a.csv", "text,label\n", {}, "no rows"),
        ("a.csv", "\n\n", {}, "no rows"),
        ("a.csv", "", {}, "is empty"),
        ("a.tsv", "text\na\n\nb\n", {}, "a.tsv, line 3: empty line; is it an empty text"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, name, content, options, message) -> None:
    with pytest.raises(ExpError, match=message):
        get(tmp_path, content, name, **options)


def test_an_unclosed_quote_in_a_large_file_is_named(tmp_path: Path) -> None:
    rest = "some words, and more\n" * 100_000
    with pytest.raises(ExpError, match='line 3: the " that opens a field here is never closed'):
        get(tmp_path, f'text,label\na,b\n"c,d\n{rest}')


def test_a_field_may_be_long_and_the_csv_modules_limit_stays(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    assert len(get(tmp_path, f'text,label\n"{"x" * 300_000}",y\n').columns["text"][0]) == 300_000
    assert csv.field_size_limit() == limit


# ---- quotes that may be text ----


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.tsv", 'text\tlabel\nno\tx\n"she said ""a"""\ty\n', 3),  # only where needed: the csv module, pandas
        ("a.tsv", '"text"\t"label"\n"a"\t"x"\n"b"\t"y"\n', 2),
        ("a.tsv", 'text\tlabel\n"a"\tx\n"b"\ty\n', 2),
        ("a.csv", "text,label\n'a',x\n'b',y\n", 2),
        ("a.csv", "text,label\na,x\n'it''s',y\n", 3),
    ],
)
def test_kept_quotes_are_refused_until_the_user_says_what_they_are(tmp_path: Path, name, content, line) -> None:
    with pytest.raises(ExpError, match=rf"{name}, line {line}: fields stand in .* data.quotechar=none"):
        get(tmp_path, content, name)
    quote = "'" if name == "a.csv" else '"'
    taken_off = get(tmp_path, content, name, quotechar=quote)
    kept = get(tmp_path, content, name, quotechar="none")
    assert not any(cell.startswith(quote) for cells in taken_off.columns.values() for cell in cells)
    assert any(cell.startswith(quote) for cells in kept.columns.values() for cell in cells)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", 'text\tlabel\n" a , b . "\tx\nsaid " c "\ty\n5" nail\tx\n'),  # tokens of GLUE
        ("a.tsv", 'text\tlabel\n"a" and "b"\tx\nc\ty\n'),
        ("a.csv", "text,label\nit's,x\n'tis,y\n'a',x\nrock 'n' roll',y\n"),
    ],
)
def test_quotes_of_a_text_are_text(tmp_path: Path, name: str, content: str) -> None:
    assert get(tmp_path, content, name).columns == get(tmp_path, content, name, quotechar="none").columns


# ---- GLUE's own reader ----


def test_read_tsv_leaves_ragged_rows_out_on_request(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text('1\t"a\n2\n3\tb\tc\n4\td\n')
    rows = read_tsv(path, ("n", "text"), drop_ragged=True)
    assert rows.columns == {"n": ["1", "4"], "text": ['"a', "d"]}
    assert rows.lines == [1, 4] and rows.dropped == [2, 3]
    with pytest.raises(ExpError, match=r"train.tsv, line 2: 1 fields, expected 2"):
        read_tsv(path, ("n", "text"))
