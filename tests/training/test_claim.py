from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exp.errors import ExpError
from exp.training.claim import claim_run


def test_many_claims_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: claim_run(tmp_path / "a" / "run", movable=True), range(16)))
    assert len(set(folders)) == 16

    (tmp_path / "empty").mkdir()

    def attempt(_: int) -> bool:
        try:
            return claim_run(tmp_path / "empty", movable=False) == tmp_path / "empty"
        except ExpError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_a_start_that_was_killed_at_once_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    claimed = "import sys; from pathlib import Path; from exp.training.claim import claim_run; "
    claimed += "claim_run(Path(sys.argv[1]), movable=False)"
    subprocess.run([sys.executable, "-c", claimed, str(folder)], check=True)  # ends without run.json
    assert claim_run(folder, movable=False) == folder
    with pytest.raises(ExpError, match="exists already"):  # this process lives
        claim_run(folder, movable=False)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ExpError, match="exists already"):
        claim_run(folder, movable=False)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExpError, match=r"cannot make the output folder .*Not a directory.*hydra\.run\.dir"):
        claim_run(tmp_path / "file" / "run", movable=True)
    with pytest.raises(ExpError, match="exists already"):
        claim_run(tmp_path / "file", movable=False)
