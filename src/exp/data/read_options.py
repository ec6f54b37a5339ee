"""How a file is written, where its ending does not say it. The keys have pandas' names."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from exp.errors import ExpError, nearest

Format = Literal["csv", "tsv", "json", "parquet", "conll", "conllu", "text"]

COMPRESSED = (".gz", ".bz2", ".xz")
_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "json",
    ".json": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".conll": "conll",
    ".conllu": "conllu",
}
_USED_BY = {
    "sep": ("csv", "tsv", "conll"),
    "header": ("csv", "tsv"),
    "names": ("csv", "tsv", "conll", "text"),
    "encoding": ("csv", "tsv", "json", "conll", "conllu", "text"),
    "quotechar": ("csv", "tsv"),
    "escapechar": ("csv", "tsv"),
    "records_key": ("json",),
}
_ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254")
_MORE_ENCODINGS = ("latin-1", "iso8859-2", "iso8859-15", "koi8-r", "gb18030", "big5", "cp932", "euc-jp", "cp949")


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Args:
    format: None: by the file's ending, in any case, behind .gz, .bz2 or .xz.
    sep: one character between fields, or `tab`. None: a comma in csv, a tab in tsv; tabs, else spaces in conll.
    header: `none`: the first line is a row. None or `infer`: it names the columns, unless `names` does.
    names: column names of a file that has none.
    encoding: Python's name of it. None: UTF-8, or what a byte-order mark says.
    quotechar: one character, or `none`: a quote is a character like every other. None: `"` in csv, none in tsv.
    escapechar: one character, e.g. a backslash. None: quotes inside quotes are doubled.
    records_key: the key of a JSON object that holds the rows. None: the only key that holds a list of objects.
    """

    format: Format | None = None
    sep: str | None = None
    header: Literal["infer", "none"] | None = None
    names: list[str] | None = None
    encoding: str | None = None
    quotechar: str | None = None
    escapechar: str | None = None
    records_key: str | None = None

    def __post_init__(self) -> None:
        _check_characters(self)
        if self.names is not None:
            doubled = [name for name in self.names if self.names.count(name) > 1]
            if not self.names or "" in self.names or doubled:
                why = f"{doubled[0]!r} is named twice" if doubled else "give one name a column"
                raise ExpError(f"data.names=[{','.join(self.names)}]: {why}")
        if self.encoding is not None:
            _check_encoding(self.encoding)
        if self.records_key == "":
            raise ExpError("data.records_key is empty; null takes the only key that holds a list of objects")
        if self.format is not None:
            for key, formats in _USED_BY.items():
                if getattr(self, key) not in (None, "infer") and self.format not in formats:
                    raise ExpError(
                        f"data.{key}={getattr(self, key)}: data.format={self.format} does not use it "
                        f"(used by {', '.join(formats)}); set it to null"
                    )

    @property
    def separator(self) -> str | None:
        """`sep` as the character itself."""
        return "\t" if self.sep in ("tab", "\\t") else self.sep

    @property
    def has_header(self) -> bool:
        return self.header != "none" and self.names is None


def _check_characters(options: ReadOptions) -> None:
    sep, quote, escape = options.separator, options.quotechar, options.escapechar
    if sep is not None and (len(sep) != 1 or sep in "\r\n"):
        raise ExpError(f"data.sep={sep!r}: give one character between fields, e.g. 'data.sep=\";\"' or data.sep=tab")
    if quote is not None and quote != "none" and (len(quote) != 1 or quote in "\r\n"):
        raise ExpError(f"data.quotechar={quote!r}: give one character, or none if no field is quoted")
    if escape is not None and (len(escape) != 1 or escape in "\r\n"):
        raise ExpError(f"data.escapechar={escape!r}: give one character, e.g. 'data.escapechar=\\'")
    for key, value in (("quotechar", quote), ("escapechar", escape)):
        if value is not None and value == sep:
            raise ExpError(f"data.{key}={value!r}: data.sep is the same character")
    if escape is not None and escape == quote:
        raise ExpError(f"data.escapechar={escape!r} is data.quotechar too; doubled quotes need no data.escapechar")


def _check_encoding(name: str) -> None:
    try:
        codecs.getincrementaldecoder(name)()
        works = bytes("a,b\n", name).decode(name) == "a,b\n"
    except (LookupError, ValueError):  # unknown, or no encoding of text (hex, rot13); ValueError: a NUL, UnicodeError
        works = False
    if not works:
        raise ExpError(f"data.encoding={name}: no such encoding{nearest(name, _ENCODINGS + _MORE_ENCODINGS)}")


def format_of(path: Path, options: ReadOptions) -> Format:
    """Raises ExpError where neither the ending nor `options` says it."""
    if options.format is not None:
        return options.format
    found = ending(path.name)
    if found not in _ENDINGS:
        say = "data.format=text (one row a line), data.format=tsv or data.format=conll"
        raise ExpError(
            f"{path}: cannot tell its format from {found or 'a name without ending'}; "
            f"known: {', '.join(_ENDINGS)}, each also with {', '.join(COMPRESSED)}; say {say}"
        )
    return _ENDINGS[found]


def ending(name: str) -> str:
    """`.csv` of a.csv and of A.CSV.gz; "" where there is none."""
    name = name.lower()
    for compressed in COMPRESSED:
        name = name.removesuffix(compressed)
    return Path(name).suffix
