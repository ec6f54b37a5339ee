from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from exp.errors import ExpError
from exp.training.claim import claim_job, claim_run


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


def job(*overrides: str) -> tuple[DictConfig, DictConfig]:
    """A job's config and Hydra's node of it."""
    return OmegaConf.create({"seed": 1}), OmegaConf.create({"overrides": {"task": list(overrides)}})


@pytest.mark.parametrize(
    "left", [[], ["config.yaml"], ["config.yaml", "hydra.yaml", ".7.overrides.yaml"], ["overrides.yaml"]]
)
def test_a_job_whose_worker_was_killed_while_it_claimed_gets_its_folder(tmp_path: Path, left: list[str]) -> None:
    """A table's run keeps its folder, so that what a killed start left there is in the way of nobody."""
    folder = tmp_path / "0"
    (folder / ".hydra").mkdir(parents=True)
    for name in left:
        (folder / ".hydra" / name).write_text("")
    claim_job(folder, *job("seed=1"))
    assert yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text()) == ["seed=1"]
    assert yaml.safe_load((folder / ".hydra" / "config.yaml").read_text()) == {"seed": 1}


def test_a_job_that_is_started_again_keeps_its_folder_and_another_one_is_refused(tmp_path: Path) -> None:
    words = "seed=1", "tracker.url=https://me:secret@host"  # what is saved has no password
    claim_job(tmp_path / "0", *job(*words))
    (tmp_path / "0" / ".hydra" / "config.yaml").unlink()  # killed between the two
    claim_job(tmp_path / "0", *job(*words))
    assert (tmp_path / "0" / ".hydra" / "config.yaml").exists()
    with pytest.raises(ExpError, match=r"another run of this sweep.*hydra\.sweep\.subdir"):
        claim_job(tmp_path / "0", *job("seed=2"))
    (tmp_path / "0" / "run.json").write_text("{}")
    (tmp_path / "0" / ".hydra" / "overrides.yaml").unlink()  # by hand: whose run this was is not known any more
    with pytest.raises(ExpError, match="another run of this sweep"):
        claim_job(tmp_path / "0", *job(*words))


def test_of_two_jobs_that_claim_one_folder_at_once_one_gets_it(tmp_path: Path) -> None:
    start = "import sys; from pathlib import Path; from omegaconf import OmegaConf; "
    start += "from exp.training.claim import claim_job; sys.stdin.read(); "
    start += "claim_job(Path(sys.argv[1]), OmegaConf.create(), OmegaConf.create({'overrides': {'task': sys.argv[2:]}}))"
    command = [sys.executable, "-c", start, str(tmp_path / "0")]
    racers = [
        subprocess.Popen([*command, f"seed={n}"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) for n in range(4)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
    assert sorted(racer.wait() for racer in racers) == [0, 1, 1, 1]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExpError, match=r"cannot make the output folder .*Not a directory.*hydra\.run\.dir"):
        claim_run(tmp_path / "file" / "run", movable=True)
    with pytest.raises(ExpError, match="exists already"):
        claim_run(tmp_path / "file", movable=False)
