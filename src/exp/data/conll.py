"""One token a line, an empty line between sentences: CoNLL files, and CoNLL-U.

Each sentence is one row, each column a list with one text a token. A row's line is that of its first token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from exp.data.encoding import lines_of, read_text
from exp.data.read_options import ReadOptions
from exp.data.rows import Rows
from exp.errors import ExpError

CONLLU_COLUMNS = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
_DOCUMENT_START = "-DOCSTART-"
_HEADER_BYTES = 1 << 16
_WORD_ID = re.compile(r"[1-9][0-9]*")
_NO_WORD_ID = re.compile(r"[0-9]+(-[0-9]+|\.[0-9]+)")  # a multiword range (1-2), an empty node (1.1)

Token = tuple[int, list[str]]  # line, fields


def read_conll(path: Path, options: ReadOptions) -> Rows:
    """Columns are named by `options.names`; else `tokens` and `tags` where there are two, or column_1, column_2, ...

    Fields are separated by tabs, or by spaces in lines without a tab. `-DOCSTART-` lines are left out.
    Raises ExpError, with file and line, for a token with another number of columns than the first.
    """
    tokens = list(_tokens(read_text(path, options.encoding), options.separator))
    names = _names(tokens, options)
    for line, fields in tokens:
        if fields and len(fields) != len(names):
            raise ExpError(f"{path}, line {line}: {len(fields)} columns, expected {len(names)} ({', '.join(names)})")
    return _sentences(path, tokens, names)


def header_of_conll(path: Path, options: ReadOptions) -> list[str]:
    text = read_text(path, options.encoding, limit=_HEADER_BYTES)
    return _names(list(_tokens(text, options.separator)), options)


def read_conllu(path: Path, options: ReadOptions) -> Rows:
    """The words of https://universaldependencies.org/format.html: multiword ranges and empty nodes are left out."""
    tokens: list[Token] = []
    for line, text in enumerate(lines_of(read_text(path, options.encoding)), start=1):
        if text.startswith("#"):
            continue
        if not text.strip():
            tokens.append((line, []))
            continue
        fields = text.split("\t")
        if len(fields) != len(CONLLU_COLUMNS):
            raise ExpError(
                f"{path}, line {line}: {len(fields)} columns, expected 10 with tabs between them "
                f"({', '.join(CONLLU_COLUMNS)})"
            )
        if _WORD_ID.fullmatch(fields[0]):
            tokens.append((line, fields))
        elif not _NO_WORD_ID.fullmatch(fields[0]):
            raise ExpError(f"{path}, line {line}: id {fields[0]!r}; an id is 3, 3-4 or 3.1")
    return _sentences(path, tokens, CONLLU_COLUMNS)


def _tokens(text: str, sep: str | None) -> Iterator[Token]:
    """Tokens, and a token without fields for each line that ends a sentence: it holds white space or nothing."""
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip():
            yield number, []
            continue
        if sep is not None:
            fields = line.split(sep)
        elif "\t" in line:
            fields = line.split("\t")
        else:
            fields = [field for field in line.split(" ") if field]
        yield number, [] if fields[0] == _DOCUMENT_START else fields


def _names(tokens: list[Token], options: ReadOptions) -> list[str]:
    if options.names is not None:
        return options.names
    width = next((len(fields) for _, fields in tokens if fields), 0)
    if width <= 2:
        return ["tokens", "tags"][:width]
    return [f"column_{number}" for number in range(1, width + 1)]


def _sentences(path: Path, tokens: list[Token], names: list[str]) -> Rows:
    columns: dict[str, list[list[str]]] = {name: [] for name in names}
    lines: list[int] = []
    inside = False
    for line, fields in tokens:
        if fields and not inside:
            lines.append(line)
            for cells in columns.values():
                cells.append([])
        inside = bool(fields)
        for cells, value in zip(columns.values(), fields, strict=False):
            cells[-1].append(value)
    return Rows(path, columns, lines)
