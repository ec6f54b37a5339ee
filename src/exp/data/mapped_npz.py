"""Arrays of an .npz file that stay in it: pages of the file, which processes share, in place of copies in memory."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOCAL_HEADER = 30  # bytes, then the name and an extra field, whose lengths are its last four bytes


def mapped_npz(file: Path) -> dict[str, NDArray[Any]]:
    """Every array by name, read-only; each was read once, to compare its checksum.

    Args:
        file: of numpy.savez, which does not compress. It may be replaced or removed later, but not written into.

    Raises:
        FileNotFoundError, OSError, ValueError, zipfile.BadZipFile: no such file, or not a whole one.
    """
    with file.open("rb") as stream, zipfile.ZipFile(stream) as entry:
        memory = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        return {info.filename.removesuffix(".npy"): _array(memory, info) for info in entry.infolist()}


def _array(memory: memoryview, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.compress_type != zipfile.ZIP_STORED:
        raise zipfile.BadZipFile(f"{info.filename} is compressed")
    header = memory[info.header_offset : info.header_offset + _LOCAL_HEADER]
    begin = info.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", header[-4:]))
    content = memory[begin : begin + info.file_size]
    if zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile(f"bad checksum of {info.filename}")
    described = io.BytesIO(content[:4096])  # an array's header is far shorter
    np.lib.format.read_magic(described)
    shape, _, dtype = np.lib.format.read_array_header_1_0(described)
    return np.frombuffer(content, dtype, offset=described.tell()).reshape(shape)
