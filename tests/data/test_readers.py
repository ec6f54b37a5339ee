from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exp.data.readers import ReadOptions, Rows, expand, header_of, read, require_file, require_format
from exp.errors import ExpError

PAIR = {"text": ["one", "two"], "label": ["a", "b"]}
WRITTEN = {
    "a.csv": "text,label\none,a\ntwo,b\n",
    "a.CSV": "text,label\r\none,a\r\ntwo,b\r\n",
    "a.tsv": "text\tlabel\none\ta\ntwo\tb\n",
    "a.jsonl": '{"text": "one", "label": "a"}\n{"text": "two", "label": "b"}\n',
    "a.json": '[{"text": "one", "label": "a"}, {"text": "two", "label": "b"}]',
}


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("packed", [False, True])
def test_the_ending_says_the_format_in_any_case_and_packed(tmp_path: Path, name: str, packed: bool) -> None:
    file = tmp_path / (name + ".gz" if packed else name)
    write(file, gzip.compress(WRITTEN[name].encode()) if packed else WRITTEN[name])
    assert read(file).columns == PAIR
    assert header_of(file, ReadOptions()) == ["text", "label"]


@pytest.mark.parametrize(("ending", "module"), [(".bz2", "bz2"), (".xz", "lzma")])
def test_other_compressions(tmp_path: Path, ending: str, module: str) -> None:
    import importlib

    file = write(tmp_path / f"a.csv{ending}", importlib.import_module(module).compress(WRITTEN["a.csv"].encode()))
    assert read(file).columns == PAIR
    write(file, file.read_bytes()[:-12])
    with pytest.raises(ExpError, match="damaged"):
        read(file)


def test_a_cut_gzip_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(WRITTEN["a.csv"].encode() * 1000)
    with pytest.raises(ExpError, match=r"a.csv.gz: the compressed file is damaged"):
        read(write(tmp_path / "a.csv.gz", whole[:-20]))


def test_plain_text_has_one_row_a_line(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "one\n\n three\u2028four \r\n")
    with pytest.raises(ExpError, match=r"a.txt: cannot tell its format from .txt; .*data.format=text"):
        require_format(file, ReadOptions())
    rows = read(file, ReadOptions(format="text"))
    assert rows.columns == {"text": ["one", "", " three\u2028four "]} and rows.where(2).endswith("a.txt, line 3")
    assert list(read(file, ReadOptions(format="text", names=["line"])).columns) == ["line"]
    with pytest.raises(ExpError, match="one column"):
        read(file, ReadOptions(format="text", names=["a", "b"]))


# ---- Rows ----


def test_where_names_the_line_or_the_row_of_the_own_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"label": ["c"], "text": ["three"]}), tmp_path / "b.parquet")
    rows = read([write(tmp_path / "a.csv", WRITTEN["a.csv"]), tmp_path / "b.parquet"])
    assert rows.columns == {"text": ["one", "two", "three"], "label": ["a", "b", "c"]}
    assert [Path(rows.where(row)).name for row in range(3)] == ["a.csv, line 2", "a.csv, line 3", "b.parquet, row 1"]
    picked = rows.take([2, 0])
    assert picked.columns["text"] == ["three", "one"] and len(picked) == 2
    assert [Path(picked.where(row)).name for row in range(2)] == ["b.parquet, row 1", "a.csv, line 2"]


def test_rows_without_sources_are_of_their_path() -> None:
    assert Rows(Path("hub/train.parquet"), {"a": [1]}, [7]).where(0) == "hub/train.parquet, row 7"
    assert Rows(Path("a.tsv"), {"a": [1]}, [7]).where(0) == "a.tsv, line 7"


def test_texts_must_be_texts(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.jsonl", '{"a": "x"}\n\n{"a": [1, 2]}\n{"b": 1}\n'))
    with pytest.raises(ExpError, match=r"a.jsonl, line 3: column 'a' is \[1, 2\], not a text"):
        rows.texts("a")
    with pytest.raises(ExpError, match=r"line 1: column 'b' is missing"):
        rows.texts("b")
    with pytest.raises(ExpError, match=r"a.jsonl has no column 'aa'; did you mean 'a'"):
        rows.texts("aa")


def test_a_text_in_the_place_of_a_name_is_cut_in_messages(tmp_path: Path) -> None:
    rows = read(write(tmp_path / "a.csv", f"{'long ' * 500},x\none,a\n"))
    with pytest.raises(ExpError) as caught:
        rows.column("text")
    assert len(str(caught.value)) < 300
    with pytest.raises(ExpError, match=r"line 3: 3 fields, expected 2 \(some words, label\)"):
        read(write(tmp_path / "b.csv", '"some\nwords",label\na,b,c\n'))


# ---- several files ----


def test_several_files_need_the_same_columns(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", "x,y\n1,2\n")
    assert read([first, write(tmp_path / "b.csv", "y,x\n4,3\n")]).columns == {"x": ["1", "3"], "y": ["2", "4"]}
    with pytest.raises(ExpError, match=r"c.csv.* x, z.* same columns|a.csv.* x, y.* same columns"):
        read([first, write(tmp_path / "c.csv", "x,z\n4,3\n")])
    with pytest.raises(ExpError, match=r"a.csv is named twice"):
        read([first, first])


def test_json_files_may_lack_keys(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.jsonl", json.dumps({"text": "t", n: 1})) for n in "ab"]
    assert read(files).columns == {"text": ["t", "t"], "a": [1, None], "b": [None, 1]}


def test_expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "odd [folder]*"
    (folder / "sub.csv").mkdir(parents=True)
    for name in ("b.csv", "a.csv", ".hidden.csv", "c.tsv", "[1].csv", "sub.csv/d.csv"):
        write(folder / name, WRITTEN["a.csv"])
    assert [file.name for file in expand("*.csv", folder)] == ["[1].csv", "a.csv", "b.csv"]
    assert [file.name for file in expand("**/d.csv", folder)] == ["d.csv"]
    assert expand("[1].csv", folder) == [folder / "[1].csv"], "a file of that very name"
    assert expand("none.csv", folder) == [folder / "none.csv"], "require_file tells that it is not there"
    assert expand(str(tmp_path / "o*" / "a.csv"), folder) == [folder / "a.csv"]
    monkeypatch.chdir(folder)
    assert expand("?.tsv", None) == [Path("c.tsv")]
    with pytest.raises(ExpError, match=r"\*.parquet: no file matches"):
        expand("*.parquet", folder)
    with pytest.raises(ExpError, match="~nosuchuser"):
        expand("~nosuchuser/a.csv", folder)


# ---- files that cannot be ----


def test_require_file(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "x")
    write(tmp_path / "empty.csv", "")
    (tmp_path / "link.csv").symlink_to("gone.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    for name, message in {
        "trian.csv": r"data.x: there is no file .*trian.csv; did you mean 'train.csv'",
        "nowhere/a.csv": "nowhere is no folder either",
        "empty.csv": "empty.csv is empty",
        "link.csv": "link.csv is a link to gone.csv, which is not there",
        "loop.csv": "loop.csv",
        "pipe.csv": "is not a file",
        ".": r"is a folder; name a file in it, or a pattern such as .*\*.csv",
        "n" * 300: "name too long",
        "train.csv/a.csv": "there is no file",
        "a\0b.csv": "there is no file",
    }.items():
        with pytest.raises(ExpError, match=rf"(?i)^data.x: .*{message}|^{message}"):
            require_file(tmp_path / name, "data.x")
    require_file(tmp_path / "train.csv", "data.x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "x").chmod(0)
    with pytest.raises(ExpError, match="permission denied"):
        require_file(tmp_path / "a.csv", "data.x")


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.csv.zip"])
def test_unknown_formats(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExpError, match=r"cannot tell its format .* known: .csv, "):
        require_format(tmp_path / name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sep": ";;"}, "data.sep=';;'"),
        ({"sep": ""}, "data.sep=''"),
        ({"sep": "\n"}, "data.sep"),
        ({"quotechar": '""'}, "data.quotechar"),
        ({"escapechar": "\\\\"}, "data.escapechar"),
        ({"escapechar": "'", "quotechar": "'"}, "data.escapechar"),
        ({"sep": "'", "quotechar": "'"}, "data.quotechar"),
        ({"encoding": "cp1525"}, "data.encoding=cp1525: no such encoding; did you mean .*'cp1252'"),
        ({"encoding": "rot13"}, "no such encoding"),
        ({"encoding": "base64"}, "no such encoding"),
        ({"encoding": "a\0b"}, "no such encoding"),
        ({"names": []}, "data.names"),
        ({"names": ["a", "a"]}, "'a' is named twice"),
        ({"names": ["a", ""]}, "data.names"),
        ({"records_key": ""}, "data.records_key"),
        ({"format": "parquet", "sep": ";"}, "data.sep=;: data.format=parquet does not use it"),
        ({"format": "csv", "records_key": "rows"}, "data.records_key=rows: data.format=csv"),
    ],
)
def test_bad_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        ReadOptions(**options)


FRAGMENTS = [
    b"\n",
    b"\r",
    b"\t",
    b",",
    b'"',
    b"'",
    b"\\",
    b"[",
    b"{",
    b"}",
    b"]",
    b":",
    b"a",
    b"1",
    b"\0",
    b"\xff",
    b"\xfe",
]


@settings(max_examples=400, deadline=None)
@given(
    content=st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=4), min_size=1, max_size=40).map(b"".join),
    start=st.sampled_from(
        [b"", b"text,label\n", b"[{", b'{"a": [', b"\xff\xfe", b"\xef\xbb\xbf", b"\x1f\x8b\x08", b"BZh9"]
    ),
    name=st.sampled_from(["csv", "tsv", "json", "jsonl", "conll", "conllu", "txt", "parquet"]),
)
def test_whatever_a_file_holds_the_answer_is_rows_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes, name: str
) -> None:
    file = write(tmp_path_factory.getbasetemp() / f"fuzz.{name}", start + content)
    options = ReadOptions(format="text" if name == "txt" else None)
    for reads in (read, header_of):
        try:
            found = reads(file, options)
            if isinstance(found, Rows):
                assert {len(cells) for cells in found.columns.values()} <= {len(found)} and found.where(0)
        except ExpError as error:
            assert "\n" not in str(error) and "\r" not in str(error)


# ---- Parquet ----


def test_parquet_keeps_values_as_they_are(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([2**63, 2**64 - 1], pa.uint64()),
            "tokens": [["a", "b"], []],
            "label": [True, None],
            "score": [0.5, 1.0],
            "extra": [{"k": 1}, None],
        }
    )
    pq.write_table(table, tmp_path / "a=b.parquet")
    rows = read(tmp_path / "a=b.parquet")
    assert rows.columns == table.to_pydict() and rows.column("id")[0] == 2**63
    assert header_of(tmp_path / "a=b.parquet", ReadOptions()) is None


def test_parquet_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ExpError, match="not a readable Parquet"):
        read(write(tmp_path / "a.parquet", "text"))
    broken = pa.array([b"ok", b"\xff\xfe"], pa.binary()).view(pa.string())
    doubled = pa.Table.from_arrays([broken, pa.array([1, 2]), pa.array([3, 4])], names=["text", "n", "n"])
    pq.write_table(doubled, tmp_path / "a.parquet")
    rows = read(tmp_path / "a.parquet")
    assert rows.columns == {"n_2": [1, 2], "n_3": [3, 4]}
    with pytest.raises(ExpError, match=r"a.parquet, row 2: column 'text' cannot be read"):
        rows.texts("text")
    with pytest.raises(ExpError, match="column 'n' occurs 2 times; ask for 'n_2' or 'n_3'"):
        rows.column("n")
    with pytest.raises(ExpError, match="has no rows"):
        pq.write_table(pa.table({"a": pa.array([], pa.string())}), tmp_path / "b.parquet")
        read(tmp_path / "b.parquet")
