from __future__ import annotations

import json

import pytest

from exp.errors import ExpError
from exp.run.files import write_atomic
from exp.run.folder import create, read_record, reopen
from exp.run.lock import is_locked, locked

CONFIG = {"seed": 3, "optimizer": {"lr": 1e-3}}


def test_a_record_names_what_the_run_depended_on(tmp_path):
    run = create(tmp_path, CONFIG)
    record = read_record(tmp_path)
    assert record["status"] == "running" and record["seed"] == 3 and record["condition"] == run.condition
    assert record["packages"]["torch"].startswith("2.") and record["hardware"]["cores"] >= 1
    assert record["git"] is None or len(record["git"]["commit"]) == 40
    run.finish("failed", "because")
    record = read_record(tmp_path)
    assert (record["status"], record["reason"]) == ("failed", "because") and record["finished"]


def test_ids_differ_and_a_reopened_run_keeps_its_own(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    one, two = create(tmp_path / "a", CONFIG), create(tmp_path / "b", CONFIG)
    assert one.id != two.id and one.condition == two.condition
    one.finish("interrupted")
    again = reopen(tmp_path / "a", CONFIG)
    assert again.id == one.id and read_record(tmp_path / "a")["status"] == "running"


def test_what_is_no_run_and_what_a_newer_exp_wrote_are_refused(tmp_path):
    with pytest.raises(ExpError, match=r"no run folder: it holds no run\.json"):
        read_record(tmp_path)
    with pytest.raises(ExpError, match="no run folder: it is not there"):
        read_record(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(ExpError, match="no run folder: it is a file"):
        read_record(tmp_path / "file")
    create(tmp_path, CONFIG)
    record = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**record, "schema": 99}))
    with pytest.raises(ExpError, match="newer exp"):
        read_record(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    (tmp_path / "f").write_text("old")
    with pytest.raises(TypeError):
        write_atomic(tmp_path / "f", 3)  # type: ignore[arg-type]
    assert (tmp_path / "f").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_lock_is_held_once_and_freed(tmp_path):
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(ExpError, match="is being written by process"), locked(tmp_path):
            pass
    assert not is_locked(tmp_path)
