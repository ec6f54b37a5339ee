"""Rows of text files and of JSON lines, one at a time, with the byte at which the next one begins."""

from __future__ import annotations

import gzip
import json
import lzma
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from exp.data import encoding, json_lines
from exp.data.read_options import ReadOptions, format_of
from exp.data.stream import Record
from exp.errors import ExpError

_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
Parse = Callable[[bytes, Path, int], dict[str, Any]]


class LineRows:
    """The lines of several files, one file after the other; they may be compressed.

    In JSON lines an empty line is none. Going on at a byte reads nothing of what came before it; a compressed file is
    unpacked up to there.
    """

    def __init__(self, files: Sequence[Path], options: ReadOptions) -> None:
        self.files, self.options = list(files), options
        self.file: IO[bytes] | None = None
        self.raw: bytes | None = None  # the next line, whose place is `at`, `offset` and behind `line` others
        self.at, self.offset, self.line = 0, 0, 0
        self.text = False  # else JSON
        self.parse = json_parser("utf-8")
        self.restart()

    def restart(self) -> None:
        self._go_to(0, 0, 0)

    @property
    def ended(self) -> bool:
        return self.raw is None

    def next(self) -> Record:
        raw, path, line = self.raw, self.files[self.at], self.line + 1
        assert raw is not None, "the pass has ended"
        self.offset, self.line = self.offset + len(raw), line
        cells = self.parse(raw, path, line)
        self._advance()
        return Record(cells, path, "line", line)

    def state(self) -> Any:
        """File, byte and lines before it."""
        return [self.at, self.offset, self.line]

    def restore(self, state: Any) -> None:
        self._go_to(*state)

    def _go_to(self, at: int, offset: int, line: int) -> None:
        self.at, self.offset, self.line = at, offset, line
        self._close()
        self._advance()

    def _advance(self) -> None:
        """Reads the next line in advance: whether there is one says whether the pass has ended."""
        while self.at < len(self.files):
            if self.file is None:
                self._open()
            assert self.file is not None
            try:
                self.raw = self.file.readline()
            except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
                raise ExpError(f"{self.files[self.at]}, line {self.line + 1}: cannot be read ({error})") from error
            if self.raw and (self.text or self.raw.strip()):
                return
            if self.raw:
                self.offset, self.line = self.offset + len(self.raw), self.line + 1
                continue
            self._close()
            self.at, self.offset, self.line = self.at + 1, 0, 0
        self.raw = None

    def _open(self) -> None:
        path = self.files[self.at]
        try:
            plain = path.open("rb")
            magic = plain.read(6)
            plain.seek(0)
            self.file = encoding.unpacked(plain, magic)
            begin = self.file.read(4)
            self.file.seek(self.offset)
        except (EOFError, gzip.BadGzipFile, OSError, zlib.error, lzma.LZMAError) as error:
            raise ExpError(f"{path}: cannot be read ({error})") from error
        codec = encoding.codec_of(path, begin, self.options.encoding)
        if codec.startswith(("utf-16", "utf-32")):
            raise ExpError(f"{path} is written in {codec}, whose lines cannot be streamed; write it in UTF-8")
        self.text = format_of(path, self.options) == "text"
        column = (self.options.names or ["text"])[0]
        self.parse = text_parser(codec, column) if self.text else json_parser(codec)

    def _close(self) -> None:
        if self.file is not None:
            self.file.close()
        self.file = None


def text_parser(codec: str, column: str) -> Parse:
    def parse(raw: bytes, path: Path, line: int) -> dict[str, Any]:
        return {column: _decoded(raw, codec, path, line)}

    return parse


def json_parser(codec: str) -> Parse:
    def parse(raw: bytes, path: Path, line: int) -> dict[str, Any]:
        text = _decoded(raw, codec, path, line)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ExpError(
                f"{path}, line {line}: not JSON ({error}); data.streaming=true reads one object a line"
            ) from error
        if not isinstance(value, dict):
            raise ExpError(f"{path}, line {line}: {type(value).__name__} found; give one JSON object a line")
        if _HALF_PAIR.search(raw) and json_lines.half_pair(value):
            raise ExpError(f"{path}, line {line}: half of a surrogate pair (a cut emoji?), which is no text")
        return value

    return parse


def _decoded(raw: bytes, codec: str, path: Path, line: int) -> str:
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        raise ExpError(
            f"{path}, line {line}: byte 0x{raw[error.start]:02x} is not {codec}; name the file's encoding with "
            f"data.encoding=, or mend the line"
        ) from error
    if "\0" in text:
        raise ExpError(f"{path}, line {line}: a NUL byte; this is no text file, or it is damaged")
    text = text.removesuffix("\n").removesuffix("\r")
    return text.removeprefix("\ufeff") if line == 1 else text
