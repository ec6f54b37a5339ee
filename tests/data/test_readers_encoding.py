from __future__ import annotations

import codecs
import logging
import re
from pathlib import Path

import pytest

from exp.data.readers import ReadOptions, header_of, read
from exp.errors import ExpError

GERMAN = "text,label\nEin schöner Abend in Köln,gut\n„Größe“ kostet 5 €,schlecht\nÜber Ärger,gut\n"
RUSSIAN = "text,label\nФильм был очень хороший,да\nЕда была ужасная и больше не приду,нет\n"
CHINESE = "text,label\n这部电影非常好看,好\n菜很难吃，我再也不会来了,坏\n"


def get(tmp_path: Path, content: bytes, **options):
    (tmp_path / "a.csv").write_bytes(content)
    return read(tmp_path / "a.csv", ReadOptions(**options))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, CHINESE])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str, text: str) -> None:
    assert list(get(tmp_path, text.encode(encoding)).columns) == ["text", "label"]
    assert header_of(tmp_path / "a.csv", ReadOptions()) == ["text", "label"]
    assert get(tmp_path, text.encode(encoding), encoding=encoding).columns["text"][0] in text
    assert get(tmp_path, codecs.BOM_UTF16_BE + text.encode("utf-16-be")).columns["text"][0] in text


@pytest.mark.parametrize(
    ("text", "encoding", "line"),
    [
        (GERMAN, "cp1252", 2),
        (RUSSIAN, "cp1251", 2),
        (CHINESE, "gb18030", 2),
        (RUSSIAN, "utf-16-le", 1),
        (GERMAN, "utf-16-be", 2),
        ("text,label\n" + "가나다,또는\n" * 20, "utf-16-le", 2),
    ],
)
def test_other_encodings_are_refused_by_name_and_read_on_request(
    tmp_path: Path, text: str, encoding: str, line: int
) -> None:
    with pytest.raises(ExpError, match=rf"a.csv, line {line}: .*data.encoding={encoding}") as caught:
        get(tmp_path, text.encode(encoding))
    assert "\n" not in str(caught.value)
    with pytest.raises(ExpError, match=f"data.encoding={encoding}"):
        header_of(tmp_path / "a.csv", ReadOptions())
    assert get(tmp_path, text.encode(encoding), encoding=encoding).columns["text"][0] in text


def test_the_likely_encoding_is_shown_on_the_line(tmp_path: Path) -> None:
    with pytest.raises(ExpError, match=r"byte 0xf6 .*data.encoding=cp1252 reads it as 'Ein schöner Abend in Köln"):
        get(tmp_path, GERMAN.encode("cp1252"))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (GERMAN.encode() + b"caf\xe9,gut\n", {}, "line 5: byte 0xe9 is not UTF-8, but most others are"),
        (b"text,label\na\0b,x\n", {}, "line 2: a NUL byte; this is no text file"),
        (b"PK\x03\x04\0\0\0\0\x08\0!\0", {}, "a NUL byte; this is no text file"),
        (b"text,label\na,x\nb\x81,y\n", {"encoding": "cp1252"}, "line 3: byte 0x81 is not cp1252; correct data.enc"),
        (GERMAN.encode("cp1252"), {"encoding": "utf-8"}, "line 2: byte 0xf6 is not utf-8; correct data.encoding"),
        (RUSSIAN.encode("utf-16")[:-1], {}, "line 3: byte .* is not utf-16; the file is damaged"),
        (GERMAN.encode("utf-8-sig"), {"encoding": "cp1252"}, "byte-order mark of utf-8, data.encoding=cp1252 contrad"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", {}, "Git LFS pointer.*git lfs pull"),
    ],
)
def test_bytes_that_do_not_fit(tmp_path: Path, content: bytes, options: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        get(tmp_path, content, **options)


@pytest.mark.parametrize(
    ("content", "encoding", "warning"),
    [
        (RUSSIAN.encode(), "latin-1", "likely it is cp1252|is valid UTF-8"),
        ("text,label\nKöln,x\n".encode(), "cp1252", "is valid UTF-8; data.encoding=cp1252 reads it as something else"),
        (GERMAN.encode("cp1252"), "latin-1", "gives control characters; likely it is cp1252"),
        (GERMAN.encode("cp1252"), "cp1252", ""),
        (b"text,label\na,x\n", "cp1252", ""),
    ],
)
def test_an_encoding_that_fits_badly_costs_a_warning(
    tmp_path: Path, content: bytes, encoding: str, warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        get(tmp_path, content, encoding=encoding)
    assert len(caplog.messages) == bool(warning)
    assert not warning or re.search(warning, caplog.messages[0])


def test_a_character_that_the_peek_at_the_header_cuts_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "ä" * (1 << 20) + ",x\n")
    assert header_of(tmp_path / "a.csv", ReadOptions()) == ["text", "label"]
