"""Fields with a character between them: CSV, TSV and their relatives."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from exp.data.encoding import lines_of, read_text
from exp.data.read_options import ReadOptions
from exp.data.rows import Rows, listed, unique_names
from exp.errors import ExpError

_LONGEST_FIELD = 1 << 26  # characters; Python's own limit of 131,072 is less than a long document
_HEADER_BYTES = 1 << 20

Record = tuple[int, list[str]]  # line where it begins, fields; no fields: an empty line


@dataclass(frozen=True)
class Dialect:
    """What stands between fields and around them. `quotechar` None: a quote is a character like every other."""

    sep: str
    quotechar: str | None
    escapechar: str | None


def read_delimited(path: Path, options: ReadOptions, sep: str, quotechar: str | None) -> Rows:
    """`sep` and `quotechar` are used where `options` does not say them. Raises ExpError, with file and line."""
    text = read_text(path, options.encoding)
    dialect = _dialect(options, sep, quotechar)
    names, refused, records = _header(path, _records(path, text, dialect), dialect, options)
    rows = _rows(path, names, records, dialect, drop_ragged=False)
    if options.quotechar is None:
        _refuse_kept_quotes(path, text, rows, dialect)
    rows.refused.update(refused)
    return rows


def header_of_delimited(path: Path, options: ReadOptions, sep: str, quotechar: str | None) -> list[str]:
    """Column names, from the beginning of the file."""
    text = read_text(path, options.encoding, limit=_HEADER_BYTES)
    dialect = _dialect(options, sep, quotechar)
    return _header(path, _records(path, text, dialect), dialect, options)[0]


def read_tsv(path: Path, header: Sequence[str] | None = None, drop_ragged: bool = False) -> Rows:
    """Tab-separated values without any quoting, as in GLUE.

    Args:
        path: the file.
        header: names of the columns of a file that does not name them.
        drop_ragged: leave out rows with another number of fields and list them in `dropped`; else they are an error.
    """
    options = ReadOptions(quotechar="none", names=list(header) if header else None)
    dialect = _dialect(options, "\t", None)
    names, refused, records = _header(path, _records(path, read_text(path, None), dialect), dialect, options)
    rows = _rows(path, names, records, dialect, drop_ragged)
    rows.refused.update(refused)
    return rows


def _dialect(options: ReadOptions, sep: str, quotechar: str | None) -> Dialect:
    quote = options.quotechar or quotechar
    return Dialect(options.separator or sep, None if quote == "none" else quote, options.escapechar)


# ---- records ----


def _records(path: Path, text: str, dialect: Dialect) -> Iterator[Record]:
    special = [one for one in (dialect.quotechar, dialect.escapechar, "\r") if one is not None]
    # Python's own reader takes five times as long, and finds the same where nothing is quoted or escaped.
    plain = special == ["\r"] or not any(one in text for one in special)
    lines = lines_of(text, keep_returns=not plain)
    if lines[-1] == "":
        lines.pop()  # what follows the last line's end
    if plain:
        for number, line in enumerate(lines, start=1):
            yield number, line.split(dialect.sep) if line else []
        return
    reader = csv.reader(
        (line + "\n" for line in lines),
        delimiter=dialect.sep,
        quotechar=dialect.quotechar,
        escapechar=dialect.escapechar,
        quoting=csv.QUOTE_NONE if dialect.quotechar is None else csv.QUOTE_MINIMAL,
        strict=True,
    )
    old_limit = csv.field_size_limit(_LONGEST_FIELD)  # one for the whole process
    try:
        while True:
            begin = reader.line_num + 1  # a quoted field may go on over several lines
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise _broken_record(path, lines, begin, dialect, error) from error
            if fields is None:
                return
            yield begin, fields
    finally:
        csv.field_size_limit(old_limit)


def _broken_record(path: Path, lines: list[str], begin: int, dialect: Dialect, error: csv.Error) -> ExpError:
    quote, opened = dialect.quotechar, _open_quote(lines, begin, dialect)
    if opened is not None:
        return ExpError(
            f"{path}, line {opened}: the {quote} that opens a field here is never closed; "
            f"if it is a character like every other, set data.quotechar=none"
        )
    why = str(error)
    if "new-line character" in why:
        why = "a carriage return inside a field that is not quoted"
    elif dialect.escapechar is None and any(f"\\{quote}" in line for line in lines[begin - 1 : begin + 1]):
        why += "; if a backslash stands before quotes inside quotes, set 'data.escapechar=\\'"
    else:
        why += f"; if {quote} is a character like every other, set data.quotechar=none"
    return ExpError(f"{path}, line {begin}: {why}")


def _open_quote(lines: list[str], begin: int, dialect: Dialect) -> int | None:
    """The line where a field of the record that starts at line `begin` opens a quote that nothing closes."""
    opened: int | None = None
    for number, line in enumerate(lines[begin - 1 :], start=begin):
        place, at_field = 0, True
        while place < len(line):
            character = line[place]
            if character == dialect.escapechar:
                place += 1
            elif opened is not None and character == dialect.quotechar:
                if line[place + 1 : place + 2] == dialect.quotechar:
                    place += 1
                else:
                    opened = None
            elif opened is None and at_field and character == dialect.quotechar:
                opened = number
            at_field = opened is None and character == dialect.sep
            place += 1
        if opened is None:
            return None
    return opened


# ---- columns ----


def _header(
    path: Path, records: Iterator[Record], dialect: Dialect, options: ReadOptions
) -> tuple[list[str], dict[str, str], Iterator[Record]]:
    """Names of the columns, why some of the file's names cannot be used, and the records that follow."""
    first = next((record for record in records if record[1]), None)
    if first is None:
        raise ExpError(f"{path} has no rows")
    line, fields = first
    if len(fields) == 1 and options.sep is None:
        for other in ";\t|,":
            if other != dialect.sep and other in fields[0]:
                say = "data.sep=tab" if other == "\t" else f"'data.sep=\"{other}\"'"
                keep = "data.sep=tab" if dialect.sep == "\t" else f"'data.sep=\"{dialect.sep}\"'"
                raise ExpError(
                    f"{path}, line {line}: one column, although the line holds {other!r}; set {say} "
                    f"if that stands between fields, {keep} if not"
                )
    if options.has_header:
        names, refused = unique_names(fields, f"{path}, line {line}")
        return names, refused, records
    if options.names is not None:
        if fields == options.names:
            raise ExpError(f"{path}, line {line} names the columns itself; set data.names to null")
        names = options.names
    else:
        names = [f"column_{number}" for number in range(1, len(fields) + 1)]
    return names, {}, chain([first], records)


def _rows(path: Path, names: list[str], records: Iterator[Record], dialect: Dialect, drop_ragged: bool) -> Rows:
    width = len(names)
    cells: list[str] = []  # row by row: no list a row, which Python's garbage collector would visit again and again
    lines: list[int] = []
    dropped: list[int] = []
    empty_line: int | None = None
    for line, fields in records:
        if len(fields) == width:
            if empty_line is not None and width == 1 and dialect.quotechar is None:
                raise ExpError(f"{path}, line {empty_line}: empty line; is it an empty text?")
            cells.extend(fields)
            lines.append(line)
        elif not fields or (len(fields) == 1 and not fields[0].strip()):
            empty_line = line
        elif drop_ragged:
            dropped.append(line)
        else:
            raise ExpError(
                f"{path}, line {line}: {len(fields)} fields, expected {width} ({listed(names)})"
                f"{_ragged_hint(fields, dialect, first=not cells)}"
            )
    columns = {name: cells[number::width] for number, name in enumerate(names)}
    return Rows(path, columns, lines, dropped)


def _ragged_hint(fields: list[str], dialect: Dialect, first: bool) -> str:
    for quote in ('"', "'"):
        if quote != dialect.quotechar and any(field.startswith(quote) != field.endswith(quote) for field in fields):
            return f"; if {quote} stands around fields, set {say_quotechar(quote)}"
    return "; do data.sep and data.header say how the file is written?" if first else ""


def say_quotechar(quote: str) -> str:
    """The setting as a shell takes it."""
    return '\'data.quotechar="\\""\'' if quote == '"' else '"data.quotechar=\\"\'\\""'


# ---- quotes that were not taken for quotes ----


def _refuse_kept_quotes(path: Path, text: str, rows: Rows, dialect: Dialect) -> None:
    """Raise ExpError where cells look quoted by a character that was not taken for a quote.

    Both readings are possible, and the wrong one trains on damaged texts. So the user says which it is.
    """
    for quote in ('"', "'"):
        if quote == dialect.quotechar or quote not in text:
            continue
        row = _first_quoted(rows, quote)
        if row is not None:
            raise ExpError(
                f"{rows.where(row)}: fields stand in {quote}...{quote}; set {say_quotechar(quote)} to take the quotes "
                f"off, or data.quotechar=none to keep them as text"
            )


def _first_quoted(rows: Rows, quote: str) -> int | None:
    """The first row with a cell in quotes, if the file looks quoted: a whole column is, or a writer of CSV was at
    work, which quotes every cell that holds the quote and doubles it inside."""
    first: int | None = None
    quoted = doubled = others = 0
    for name, cells in rows.columns.items():
        in_quotes = 0
        for row, cell in enumerate(cells):
            if quote not in cell:
                continue
            inner = cell[1:-1]
            if len(cell) > 1 and cell[0] == cell[-1] == quote and quote not in inner.replace(quote * 2, ""):
                in_quotes += 1
                doubled += quote in inner
                if first is None or row < first:
                    first = row
            elif quote == '"' or cell[0] == quote:  # an apostrophe inside a word says nothing
                others += 1
        quoted += in_quotes
        if in_quotes > 1 and in_quotes == sum(cell != "" for cell in cells):
            return first
        if len(name) > 2 and name[0] == name[-1] == quote and len(cells):
            return 0
    return first if quoted > others and (quote == '"' or doubled) else None
