"""What a table misses is run once, by however many commands; what is there is never run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from exp.analysis.tables import load, plan
from exp.errors import ExpError
from exp.training.table_runs import run_missing, table_jobs
from exp.work.fixed_list import check_order
from tests.analysis.tables.made import make_plan, write_run, write_table
from tests.study.conftest import load as load_study
from tests.training import stub_training

ROOT = Path(__file__).resolve().parents[2]
INTERPRETER = sys.executable
BEATS = ["hydra.sweeper.beat_every=0.2", "hydra.sweeper.stale_after=1"]
CHAIN = {
    "first": {"overrides": ["data=reviews"], "metric": "accuracy"},
    "second": {"overrides": ["data=cola"], "metric": "matthews_correlation", "start_from": "first"},
}


@pytest.fixture
def stub(tmp_path, monkeypatch, fast_python):
    """The lines of the stub's log, by calling it."""
    log = tmp_path / "stub.log"
    monkeypatch.setattr("exp.work.coordinator.POLL", 0.05)
    monkeypatch.setattr("exp.training.table_runs.LOOK", 0.2)
    monkeypatch.setenv("STUB_LOG", str(log))
    return lambda: [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def go(made, folder, *words, retry_failed=False):
    """Runs what `made` misses, in this process unless `words` say otherwise; True if it was stopped."""
    with table_jobs(["hydra.sweeper.n_jobs=0", *BEATS, *words], folder, None, stub_training.train) as jobs:
        return run_missing(made, made.jobs, folder, retry_failed, jobs)


def chain(tmp_path, **changes):
    overrides = ["model=bert_base", "tracker=none"]
    return write_table(tmp_path / "t.yaml", **{"overrides": overrides, "columns": CHAIN, "published": {}, **changes})


def test_what_is_missing_is_run_and_what_is_there_is_not(tmp_path, stub, capsys):
    path = write_table(tmp_path / "t.yaml")
    before = make_plan(path, only=("slow/*",))
    write_run(tmp_path / "outputs/a", before.jobs[0])
    made = make_plan(path, tmp_path / "outputs", only=("slow/*",))
    go(made, tmp_path / "table")
    assert {job.state for job in made.jobs} == {"found"}
    ran = [line[0] for line in stub()]
    assert sorted(ran) == sorted(job.tag for job in made.jobs[1:])
    assert all(job.run.group == "t" for job in made.jobs[1:])
    assert "slow/reviews seed=2: completed" in capsys.readouterr().out
    study = load_study(tmp_path / "table")
    assert study.study_name == "table-t" and {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    # The same command again has nothing to do; one that planned before has nothing to do any more.
    again = make_plan(path, tmp_path / "outputs", tmp_path / "table", only=("slow/*",))
    assert {job.state for job in again.jobs} == {"found"}
    late = make_plan(path, tmp_path / "outputs", only=("slow/*",))
    go(late, tmp_path / "table")
    assert {job.state for job in late.jobs} == {"found"} and len(stub()) == 5


def test_a_run_that_was_removed_is_run_again(tmp_path, stub):
    import shutil

    path = write_table(tmp_path / "t.yaml", seeds=[1])
    made = make_plan(path, only=("slow/reviews",))
    go(made, tmp_path / "table")
    shutil.rmtree(made.jobs[0].run.folder)
    made = make_plan(path, tmp_path / "table", only=("slow/reviews",))
    go(made, tmp_path / "table")
    assert made.jobs[0].state == "found" and len(stub()) == 2


def test_a_failed_run_does_not_stop_the_others_and_is_not_tried_again(tmp_path, stub, monkeypatch, capsys):
    monkeypatch.setenv("STUB_FAIL", "optimizer.lr=1e-5")
    path = write_table(tmp_path / "t.yaml", seeds=[1, 2])
    made = make_plan(path, only=("*/reviews",))
    go(made, tmp_path / "table")
    assert Counter(job.state for job in made.jobs) == {"failed": 2, "found": 2}
    assert "slow/reviews seed=1: failed (as asked)" in capsys.readouterr().out
    monkeypatch.delenv("STUB_FAIL")
    calm = make_plan(path, tmp_path / "table", only=("*/reviews",))
    go(calm, tmp_path / "table")
    assert len(stub()) == 4
    retried = plan.make(load.load(path), [tmp_path / "table"], ("*/reviews",), True)
    go(retried, tmp_path / "table", retry_failed=True)
    assert {job.state for job in retried.jobs} == {"found"}
    assert len(stub()) == 6


def test_a_run_whose_process_was_killed_goes_on_in_its_folder(tmp_path, stub, monkeypatch, capsys):
    monkeypatch.setenv("STUB_DIE", str(tmp_path / "died"))
    made = make_plan(write_table(tmp_path / "t.yaml"), only=("slow/reviews",))
    go(made, tmp_path / "table", "hydra.sweeper.n_jobs=1")
    assert {job.state for job in made.jobs} == {"found"}
    assert "trial 0 lost its worker; it runs again" in capsys.readouterr().out
    names = [job.tag for job in made.jobs]
    ran = [tuple(line[:2]) if line[0] == "resume" else line[0] for line in stub()]
    assert sorted(ran, key=str) == sorted([*names, ("resume", names[0])], key=str)
    assert len({line[-2] for line in stub()}) == 2  # one warm process, and one after its death
    assert {line[-1] for line in stub()} == {os.environ["OMP_NUM_THREADS"]}
    assert len(list((tmp_path / "table/runs").iterdir())) == 3


def test_a_run_that_finds_no_room_to_start_waits_for_it(tmp_path, stub, monkeypatch):
    made = make_plan(write_table(tmp_path / "t.yaml", seeds=[1]), only=("slow/reviews",))
    monkeypatch.setenv("STUB_FULL", "the disk")
    with pytest.raises(ExpError, match="No space left on device"):
        go(made, tmp_path / "table")
    assert [trial.state for trial in load_study(tmp_path / "table").trials] == [TrialState.WAITING]
    monkeypatch.delenv("STUB_FULL")
    go(made, tmp_path / "table")
    assert [trial.state for trial in load_study(tmp_path / "table").trials] == [TrialState.COMPLETE]


@pytest.mark.slow
@pytest.mark.parametrize(("when", "mark"), [("STUB_DIE", "resume "), ("STUB_DIE_EARLY", "")])
def test_a_run_of_two_processes_goes_on_in_its_folder_when_one_was_killed(tmp_path, stub, monkeypatch, when, mark):
    """Also where that was before there was a record of the run."""
    monkeypatch.setenv(when, str(tmp_path / "died"))
    overrides = ["tracker=none", "model=bert_tiny", "distributed.processes=2"]  # as the command adds it
    made = make_plan(write_table(tmp_path / "t.yaml", seeds=[1, 2], overrides=overrides), only=("slow/reviews",))
    go(made, tmp_path / "table", "hydra.sweeper.n_jobs=1", "hydra.sweeper.processes_per_trial=2")
    assert {job.state for job in made.jobs} == {"found"}
    first, second = (job.tag for job in made.jobs)
    assert [" ".join(line[:-2]) for line in stub()] == [first, f"{mark}{first}", second]
    trials = load_study(tmp_path / "table").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2  # each told once, under its number
    assert [trial.user_attrs.get("attempts") for trial in trials] == [1, None]


def test_two_commands_share_the_work(tmp_path, stub, monkeypatch, fast_python):
    """Two commands of one process each on one folder, as on two machines."""
    monkeypatch.setenv("STUB_SECONDS", "0.2")
    path = write_table(tmp_path / "t.yaml", seeds=[1, 2, 3, 4])
    script = (
        "from pathlib import Path; from tests.training.test_table_runs import go; "
        "from tests.analysis.tables.made import make_plan; "
        f"made = make_plan({path!r}, Path('table'), only=('slow/*',)); go(made, Path('table').absolute()); "
        "print('states', sum(job.state == 'found' for job in made.jobs))"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    both = [
        subprocess.Popen([fast_python, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    for process in both:
        assert "states 8" in process.communicate(timeout=120)[0]
    ran = Counter(line[0] for line in stub())
    assert len(ran) == 8 and set(ran.values()) == {1}


def test_dependents_follow_without_waiting_for_all(tmp_path, stub):
    made = make_plan(chain(tmp_path, seeds=[1, 2]), only=("slow/*",))
    go(made, tmp_path / "table")
    assert {job.state for job in made.jobs} == {"found"}
    second = [job for job in made.jobs if job.column == "second"]
    assert len({job.condition for job in second}) == 2  # each starts from weights of its own
    for job in second:
        assert Path(job.run.config["model.path"]).parent == job.after.run.folder
    again = make_plan(str(tmp_path / "t.yaml"), tmp_path / "table", only=("slow/*",))
    assert {job.state for job in again.jobs} == {"found"}


def test_what_starts_from_a_failed_run_is_given_up(tmp_path, stub, monkeypatch):
    monkeypatch.setenv("STUB_FAIL", "data=reviews")
    made = make_plan(chain(tmp_path, seeds=[1]), only=("slow/*",))
    go(made, tmp_path / "table")
    assert {job.column: job.state for job in made.jobs} == {"first": "failed", "second": "waiting"}
    assert next(job.why for job in made.jobs if job.column == "second") == "slow/first failed"
    trials = load_study(tmp_path / "table").trials
    assert [trial.state for trial in trials] == [TrialState.FAIL] * 2
    assert "which failed" in trials[1].user_attrs["error"]
    monkeypatch.delenv("STUB_FAIL")
    retried = plan.make(load.load(str(tmp_path / "t.yaml")), [tmp_path / "table"], ("slow/*",), True)
    go(retried, tmp_path / "table", retry_failed=True)
    assert {job.state for job in retried.jobs} == {"found"}


def test_only_the_chosen_cells_are_run(tmp_path, stub, monkeypatch):
    """What another command has left waiting is not this one's."""
    monkeypatch.setattr("exp.training.table_runs.TableRuns._work", lambda *_: True)
    path = write_table(tmp_path / "t.yaml", seeds=[1, 2])
    assert go(make_plan(path, only=("slow/reviews",)), tmp_path / "table")  # stopped before its first run
    monkeypatch.undo()
    monkeypatch.setenv("STUB_LOG", str(tmp_path / "stub.log"))
    chosen = make_plan(path, tmp_path / "table", only=("fast/*",))
    go(chosen, tmp_path / "table")
    assert {line[0].partition(".")[0] for line in stub()} == {"fast"}
    states = Counter(trial.state.name for trial in load_study(tmp_path / "table").trials)
    assert states == {"WAITING": 2, "COMPLETE": 4}


def test_a_run_that_cannot_start_ends_the_command(tmp_path, stub):
    made = make_plan(write_table(tmp_path / "t.yaml", seeds=[1]), only=("slow/reviews",))
    made.jobs[0].words = (*made.jobs[0].words, "optimizer.lr=-1")
    with pytest.raises(ExpError, match=r"cell slow/reviews could not start: optimizer\.lr=-1"):
        go(made, tmp_path / "table")
    made.jobs[0].words = made.jobs[0].words[:-1]
    made.jobs[0].state = "missing"
    go(made, tmp_path / "table")  # told once: the next command tries again
    assert made.jobs[0].state == "found"


def test_workers_that_always_die_end_the_command(tmp_path, stub, monkeypatch):
    monkeypatch.setattr("exp.work.forks.BEGIN", "import sys; sys.exit('no torch')  # {!r}")
    made = make_plan(write_table(tmp_path / "t.yaml"), only=("slow/reviews",))
    with pytest.raises(ExpError, match=r"workers die without finishing a trial(.|\n)*no torch"):
        go(made, tmp_path / "table", "hydra.sweeper.n_jobs=1")


def test_a_table_has_a_study_of_its_own(tmp_path, stub):
    url = f"sqlite:///{tmp_path / 's.db'}"
    words = [f"hydra.sweeper.storage={url}", "hydra.sweeper.study_name=s"]
    search = optuna.create_study(storage=url, study_name="s")
    search.set_user_attr("search space", {})
    made = make_plan(write_table(tmp_path / "t.yaml", seeds=[1]), only=("slow/reviews",))
    with pytest.raises(ExpError, match="study s holds a search, and this is the table t"):
        go(made, tmp_path / "table", *words)
    go(made, tmp_path / "other", f"hydra.sweeper.storage={url}")
    other = make_plan(write_table(tmp_path / "u.yaml", seeds=[1]), only=("slow/reviews",))
    with pytest.raises(ExpError, match="study table-t holds t, and this is the table u"):
        go(other, tmp_path / "third", f"hydra.sweeper.storage={url}", "hydra.sweeper.study_name=table-t")
    with pytest.raises(ExpError, match="other holds the study table-t, and this table is another one"):
        go(other, tmp_path / "other")


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"a": ["b"], "b": ["a"], "c": []}, "these jobs wait for each other in a circle: a, b"),
        ({"a": ["z"]}, "job a starts from z, which is not in the list"),
    ],
)
def test_an_impossible_order_is_refused(after, message):
    with pytest.raises(ExpError, match=message):
        check_order(after)


def test_stopping_leaves_what_ran_to_be_gone_on_with(tmp_path, stub, monkeypatch):
    """SIGTERM while runs are under way: the command ends, and the next one finishes the table."""
    monkeypatch.setenv("STUB_SECONDS", "0.4")
    path = write_table(tmp_path / "t.yaml")
    made = make_plan(path, only=("slow/*",))

    def stop():
        while len(stub()) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    assert go(made, tmp_path / "table", "hydra.sweeper.n_jobs=1")
    assert Counter(job.state for job in made.jobs)["found"] == 1
    monkeypatch.setenv("STUB_SECONDS", "0")
    again = make_plan(path, tmp_path / "table", only=("slow/*",))
    go(again, tmp_path / "table")
    assert {job.state for job in again.jobs} == {"found"}


def test_a_table_of_the_older_engine_goes_on(tmp_path, stub):
    """Claims in files, logs/, run folders named as now: what is done counts, an interrupted run goes on."""
    path = write_table(tmp_path / "t.yaml")
    made = make_plan(path, only=("slow/reviews",))
    folder = tmp_path / "table"
    for name in ("claims", "logs"):
        (folder / name).mkdir(parents=True)
    write_run(folder / "runs" / made.jobs[0].tag, made.jobs[0])
    write_run(folder / "runs" / made.jobs[1].tag, made.jobs[1], status="interrupted")
    made = make_plan(path, folder, only=("slow/reviews",))
    go(made, folder)
    assert {job.state for job in made.jobs} == {"found"}
    assert [line[:-2] for line in stub()] == [["resume", made.jobs[1].tag], [made.jobs[2].tag]]


@pytest.mark.usefixtures("own_pool")
def test_through_a_launcher(tmp_path, stub, monkeypatch):
    monkeypatch.setattr(sys, "executable", INTERPRETER)  # joblib keeps a pool
    made = make_plan(write_table(tmp_path / "t.yaml"), only=("slow/reviews",))
    go(made, tmp_path / "table", "hydra/launcher=joblib", "hydra.sweeper.n_jobs=2")
    assert {job.state for job in made.jobs} == {"found"}
    assert len(stub()) == 3
