from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from exp.work.storage import open_storage


def test_a_journal_in_the_place_of_a_deleted_one_is_not_taken_for_it(tmp_path: Path) -> None:
    """A worker that makes a folder below a deleted one makes that one too."""
    storage = open_storage(None, tmp_path / "s")
    study = optuna.create_study(storage=storage, study_name="s")
    study.add_trial(optuna.create_trial(value=1.0))
    held = (tmp_path / "s" / "journal.log").read_bytes()
    (tmp_path / "s").rename(tmp_path / "deleted")
    (tmp_path / "s").mkdir()
    for other in (None, b"", held + held):
        if other is not None:
            (tmp_path / "s" / "journal.log").write_bytes(other)
        with pytest.raises(FileNotFoundError, match=r"journal\.log"):
            study.get_trials(deepcopy=False)
        with pytest.raises(FileNotFoundError, match=r"journal\.log"):
            study.add_trial(optuna.create_trial(value=2.0))
        left = tmp_path / "s" / "journal.log"
        assert not left.exists() if other is None else left.read_bytes() == other
    assert (tmp_path / "deleted" / "journal.log").read_bytes() == held
