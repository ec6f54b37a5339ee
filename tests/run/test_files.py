"""Files are written as a whole, and devices stay devices."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from exp.run.files import create_once, replacing, write_atomic


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    write_atomic(Path(f"/dev/fd/{writer}"), "text")
    assert os.read(reader, 10) == b"text"
    before = Path("/dev/null").stat()
    write_atomic(Path("/dev/null"), "text")
    assert Path("/dev/null").stat().st_rdev == before.st_rdev and Path("/dev/null").is_char_device()
    os.close(reader), os.close(writer)


def test_an_error_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        write_atomic(tmp_path / "absent" / "x.csv", "text")
    assert error.value.filename == str(tmp_path / "absent" / "x.csv")
    (tmp_path / "x").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "x", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_link_is_replaced_and_what_it_leads_to_is_kept(tmp_path: Path) -> None:
    diary, picture = tmp_path / "diary", tmp_path / "curves.png"
    diary.write_text("dear diary")
    picture.symlink_to(diary)
    with replacing(picture) as scratch:
        scratch.write_text("drawn")
    assert (diary.read_text(), picture.read_text(), picture.is_symlink()) == ("dear diary", "drawn", False)
    with pytest.raises(OSError), replacing(picture) as scratch:
        scratch.write_text("half")
        raise OSError
    assert picture.read_text() == "drawn" and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.ENOTSUP])
def test_a_file_is_made_once_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    if number is not None:

        def refused(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "link", refused)
    assert [create_once(tmp_path / "x", text) for text in ("first", "second")] == [True, False]
    assert (tmp_path / "x").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_full_disk_leaves_no_part_of_a_file_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        create_once(tmp_path / "x", "text")
    assert not list(tmp_path.iterdir())
