"""Text of a file: unpacked, decoded, and nothing guessed. A wrong byte is named with its line.

A byte-order mark says how a file is written and is dropped. Without one a file is UTF-8, or what
`data.encoding` says. Bytes that do not fit are refused; the message names the likely encoding.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import logging
import lzma
import zlib
from pathlib import Path
from typing import IO, Any

from exp.errors import ExpError

log = logging.getLogger(__name__)

_MARKS = (  # longest first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 16  # bytes that the guess of an encoding looks at
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def read_text(path: Path, encoding: str | None, limit: int | None = None) -> str:
    """The decoded file.

    Args:
        path: may be compressed by gzip, bzip2 or xz, whatever its name is.
        encoding: Python's name. None: by the byte-order mark, else UTF-8.
        limit: bytes that are read, for who needs the beginning only. A character cut there is left out.

    Raises:
        ExpError: it cannot be read or unpacked, or a byte does not fit the encoding.
    """
    data = _bytes(path, limit)
    if data.startswith(_LFS_POINTER):
        raise ExpError(f"{path} is a Git LFS pointer, not the file itself; fetch it with: git lfs pull")
    codec = codec_of(path, data, encoding)
    whole = limit is None or len(data) < limit
    try:
        text = codecs.getincrementaldecoder(codec)().decode(data, final=whole)
    except UnicodeDecodeError as error:
        if codec == "utf-8" and encoding is None:
            raise _not_utf8(path, data, error) from error
        line = data[: error.start].decode(codec, "replace").count("\n") + 1
        raise ExpError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not {codec}; "
            f"{'correct data.encoding' if encoding else 'the file is damaged'}"
        ) from error
    except UnicodeError as error:
        raise ExpError(f"{path}: cannot be read as {codec} ({error})") from error
    if "\0" in text:
        raise ExpError(f"{path}, line {text.count(chr(10), 0, text.index(chr(0))) + 1}: a NUL byte{_nul_hint(data)}")
    if encoding is not None and limit is None:
        _warn_of_another(path, data, text, encoding, codec)
    return text.removeprefix("\ufeff")


def lines_of(text: str, keep_returns: bool = False) -> list[str]:
    """Lines end with "\\n" or "\\r\\n" only: a sentence may hold what `str.splitlines` takes for a line end.

    In a text without any "\\n" (old Macs) lines end with "\\r". `keep_returns` leaves the "\\r" of "\\r\\n" at the
    line, for who knows whether it stands inside quotes.
    """
    if "\n" not in text:
        return text.split("\r")
    lines = text.split("\n")
    return lines if keep_returns or "\r" not in text else [line.removesuffix("\r") for line in lines]


def _bytes(path: Path, limit: int | None) -> bytes:
    size = -1 if limit is None else limit
    try:
        with path.open("rb") as file:
            magic = file.read(6)
            file.seek(0)
            with unpacked(file, magic) as plain:
                return plain.read(size)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ExpError(f"{path}: the compressed file is damaged ({error})") from error
    except OSError as error:
        raise ExpError(f"{path}: cannot be read ({error.strerror or error})") from error


def unpacked(file: IO[bytes], magic: bytes) -> Any:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic == b"\xfd7zXZ\0":
        return lzma.LZMAFile(file)
    return file


def codec_of(path: Path, data: bytes, encoding: str | None) -> str:
    name = None if encoding is None else codecs.lookup(encoding).name
    for mark, family in _MARKS:
        if data.startswith(mark):
            if name is not None and not name.startswith(family):
                raise ExpError(
                    f"{path} begins with the byte-order mark of {family}, data.encoding={encoding} contradicts it; "
                    f"set data.encoding to null"
                )
            return family
    return name or "utf-8"


def _not_utf8(path: Path, data: bytes, error: UnicodeDecodeError) -> ExpError:
    line = data.count(b"\n", 0, error.start) + 1
    where = f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8"
    if b"\0" in data:
        return ExpError(where + _nul_hint(data))
    lenient = data.decode("utf-8", "replace")
    wrong = lenient.count("\ufffd")
    # Other encodings' bytes form a valid sequence of UTF-8 now and then, not mostly.
    if 2 * wrong < sum(not character.isascii() for character in lenient):
        return ExpError(f"{where}, but most others are: the file is damaged, or mixes encodings; mend that line")
    likely = _likely(b"\n".join(part for part in data.split(b"\n") if not part.isascii())[:_SAMPLE])
    if not likely:
        return ExpError(f"{where}; name its encoding, e.g. data.encoding=cp1252")
    begin = max(0, error.start - 20, data.rfind(b"\n", 0, error.start) + 1)
    shown = data[begin : error.start + 20].decode(likely[0], "replace").split("\n")[0].strip()
    others = f" (or {', '.join(likely[1:3])})" if likely[1:] else ""
    return ExpError(f"{where}; likely {likely[0]}{others}: data.encoding={likely[0]} reads it as {shown!r}")


def _likely(sample: bytes) -> list[str]:
    """Names of encodings that the bytes may have, the likeliest first."""
    from charset_normalizer import from_bytes

    matches = list(from_bytes(sample))
    names = [match.encoding for match in matches]
    western = from_bytes(sample, cp_isolation=["cp1252"]).best()
    # cp1250 and its like often read Western text as smoothly; cp1252 is far more common.
    if western and (not matches or western.chaos <= matches[0].chaos + 0.03):
        names = ["cp1252", *(name for name in names if name != "cp1252")]
    return [name.replace("_", "-") for name in names]


def _nul_hint(data: bytes) -> str:
    # In UTF-16 the NULs are halves of ASCII characters, which stand on one side.
    even, odd = data[:_SAMPLE:2].count(0), data[1:_SAMPLE:2].count(0)
    if max(even, odd) > 1 and max(even, odd) > 2 * min(even, odd):
        name = "utf-16-le" if odd > even else "utf-16-be"
        return f"; likely UTF-16 without a byte-order mark: data.encoding={name}"
    return "; this is no text file, or it is damaged"


def _warn_of_another(path: Path, data: bytes, text: str, encoding: str, codec: str) -> None:
    if codec.startswith("utf") or text.isascii():
        return
    if codec == "iso8859-1" and any("\x80" <= character <= "\x9f" for character in text):
        log.warning("%s: data.encoding=%s gives control characters; likely it is cp1252", path, encoding)
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return
    log.warning("%s is valid UTF-8; data.encoding=%s reads it as something else", path, encoding)
