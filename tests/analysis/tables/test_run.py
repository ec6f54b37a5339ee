"""What is missing is run once, by however many commands; what is there is never run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.analysis.tables.made import make_plan, write_run, write_table

from exp.analysis.tables import load, plan, run, workers
from exp.errors import ExpError
from exp.work import claims

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "tests.analysis.tables.stub_worker"]


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Workers that do not train; the lines of their log, by calling it."""
    monkeypatch.setattr(workers, "COMMAND", COMMAND)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'src'}")
    log = tmp_path / "stub.log"
    monkeypatch.setenv("STUB_LOG", str(log))
    return lambda: [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def go(made, folder, jobs=1, **options):
    said = []
    work = run.TableRunner(made, folder, jobs, options.get("retry_failed", False), said.append, lambda plan, busy: None)
    work.go(made.jobs)
    return said


def test_what_is_missing_is_run_and_what_is_there_is_not(tmp_path, stub):
    path = write_table(tmp_path / "t.yaml")
    before = make_plan(path, only=("slow/*",))
    write_run(tmp_path / "outputs/a", before.jobs[0])
    made = make_plan(path, tmp_path / "outputs", only=("slow/*",))
    go(made, tmp_path / "table")
    assert {job.state for job in made.jobs} == {"found"}
    ran = [line[0] for line in stub()]
    assert sorted(ran) == sorted(job.tag for job in made.jobs[1:])
    assert [path.name for path in (tmp_path / "table/claims").iterdir()] == [".lock"]
    # One warm process for all of them.
    assert len({line[1] for line in stub()}) == 1
    # The same command again has nothing to do.
    again = make_plan(path, tmp_path / "outputs", tmp_path / "table", only=("slow/*",))
    assert {job.state for job in again.jobs} == {"found"}


def test_a_failed_run_does_not_stop_the_others_and_is_not_tried_again(tmp_path, stub, monkeypatch):
    monkeypatch.setenv("STUB_FAIL", "optimizer.lr=1e-5")
    path = write_table(tmp_path / "t.yaml")
    made = make_plan(path, only=("*/reviews",))
    said = go(made, tmp_path / "table")
    assert Counter(job.state for job in made.jobs) == {"failed": 3, "found": 3}
    assert "slow/reviews seed=1: failed (as asked)" in said
    monkeypatch.delenv("STUB_FAIL")
    calm = make_plan(path, tmp_path / "table", only=("*/reviews",))
    go(calm, tmp_path / "table")
    assert len(stub()) == 6
    retried = plan.make(load.load(path), [tmp_path / "table"], ("*/reviews",), True)
    go(retried, tmp_path / "table", retry_failed=True)
    assert {job.state for job in retried.jobs} == {"found"}
    assert len(stub()) == 9


def test_a_run_whose_process_was_killed_goes_on_in_its_folder(tmp_path, stub, monkeypatch):
    monkeypatch.setenv("STUB_DIE", str(tmp_path / "died"))
    made = make_plan(write_table(tmp_path / "t.yaml"), only=("slow/reviews",))
    said = go(made, tmp_path / "table")
    assert {job.state for job in made.jobs} == {"found"}
    assert "slow/reviews lost its process; it runs again" in said
    first = made.jobs[0].tag
    assert [line[:2] if line[0] == "resume" else line[:1] for line in stub()][:2] == [[first], ["resume", first]]


def test_two_commands_share_the_work(tmp_path, stub, monkeypatch):
    """Started in processes of their own on one folder, as on two machines."""
    monkeypatch.setenv("STUB_SECONDS", "0.3")
    path = write_table(tmp_path / "t.yaml", seeds=[1, 2, 3, 4])
    script = (
        "import sys; from pathlib import Path; from exp.analysis.tables import workers; "
        f"workers.COMMAND = {COMMAND!r}; "
        "from tests.analysis.tables.test_run import go; from tests.analysis.tables.made import make_plan; "
        f"made = make_plan({path!r}, Path('table'), only=('slow/*',)); go(made, Path('table').absolute()); "
        "print(sum(job.state == 'found' for job in made.jobs))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in both] == ["8", "8"]
    ran = Counter(line[0] for line in stub())
    assert len(ran) == 8 and set(ran.values()) == {1}
    assert len({line[1] for line in stub()}) == 2


def test_dependents_follow_without_waiting_for_all(tmp_path, stub):
    columns = {
        "first": {"overrides": ["data=reviews"], "metric": "accuracy"},
        "second": {"overrides": ["data=cola"], "metric": "matthews_correlation", "start_from": "first"},
    }
    path = write_table(
        tmp_path / "t.yaml", overrides=["model=bert_base", "tracker=none"], columns=columns, published={}, seeds=[1, 2]
    )
    made = make_plan(path, only=("slow/*",))
    go(made, tmp_path / "table")
    assert {job.state for job in made.jobs} == {"found"}
    assert len({job.condition for job in made.jobs if job.column == "second"}) == 2


def test_what_starts_from_a_failed_run_is_given_up(tmp_path, stub, monkeypatch):
    monkeypatch.setenv("STUB_FAIL", "data=reviews")
    columns = {
        "first": {"overrides": ["data=reviews"], "metric": "accuracy"},
        "second": {"overrides": ["data=cola"], "metric": "matthews_correlation", "start_from": "first"},
    }
    path = write_table(tmp_path / "t.yaml", overrides=["model=bert_base"], columns=columns, published={}, seeds=[1])
    made = make_plan(path, only=("slow/*",))
    go(made, tmp_path / "table")
    assert {job.column: job.state for job in made.jobs} == {"first": "failed", "second": "waiting"}
    assert next(job.why for job in made.jobs if job.column == "second") == "slow/first failed"


def test_a_worker_that_always_dies_ends_the_command(tmp_path, stub, monkeypatch):
    monkeypatch.setattr(workers, "COMMAND", [sys.executable, "-c", "import sys; sys.exit('no torch here')"])
    made = make_plan(write_table(tmp_path / "t.yaml"), only=("slow/reviews",))
    with pytest.raises(ExpError, match=r"cell slow/reviews: its process died 3 times(.|\n)*no torch here"):
        go(made, tmp_path / "table")


def test_a_claim_is_held_by_one(tmp_path):
    claim = claims.take(tmp_path, "a")
    assert claim is not None and claims.is_held(tmp_path, "a")
    assert claims.take(tmp_path, "a") is None
    claims.release(claim)
    assert claims.take(tmp_path, "a") is not None


def test_claims_of_the_dead_are_taken_over(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "a").write_text(json.dumps({"host": os.uname().nodename, "pid": gone.pid}))
    assert claims.take(tmp_path, "a") is not None
    # Another machine's: only its silence tells.
    (tmp_path / "b").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    assert claims.take(tmp_path, "b") is None
    past = time.time() - claims.STALE - 5
    os.utime(tmp_path / "b", (past, past))
    assert claims.take(tmp_path, "b") is not None


def test_stopping_leaves_what_ran_to_be_gone_on_with(tmp_path, stub, monkeypatch):
    """SIGTERM while runs are under way: the command ends, and the next one finishes the table."""
    monkeypatch.setenv("STUB_SECONDS", "1")
    path = write_table(tmp_path / "t.yaml")
    made = make_plan(path, only=("slow/*",))
    work = run.TableRunner(made, tmp_path / "table", 1, False, lambda text: None, lambda plan, busy: None)

    def show(plan, busy):
        if busy and len(stub()) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    work.show = show
    work.go(made.jobs)
    assert work.stop == "now"
    left = Counter(job.state for job in made.jobs)
    assert left["found"] == 1 and left["missing"] == 5
    monkeypatch.setenv("STUB_SECONDS", "0")
    again = make_plan(path, tmp_path / "table", only=("slow/*",))
    go(again, tmp_path / "table")
    assert {job.state for job in again.jobs} == {"found"}
