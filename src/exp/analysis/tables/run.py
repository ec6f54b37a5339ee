"""Runs the missing runs of a table. Several such commands can share a folder, also on several machines."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.analysis.run_data import RunData, read_run
from exp.analysis.tables import plan
from exp.analysis.tables.plan import PlannedRun, TablePlan
from exp.analysis.tables.workers import CellProcess, CellProcesses, check_all, threads
from exp.config.grammar import quoted
from exp.errors import ExpError
from exp.run.environment import gpus
from exp.work import claims

POLL, LOOK = 0.3, 3.0  # seconds: for our workers; at what others run
GRACE = 20.0  # seconds that a run gets to save when it is stopped
MAX_DEATHS = 3  # starts of one run whose process dies each time
BAD_INPUT, STOPPED = 2, (75, 130)


@dataclass
class TableRunner:
    """Runs the jobs of one `exp.table` command."""

    plan: TablePlan
    folder: Path  # of the table: runs/, claims/, logs/
    size: int
    retry_failed: bool
    say: Callable[[str], None]
    show: Callable[[TablePlan, int], None]
    stop: str = ""  # "": no; "finish": no new runs; "now"
    deaths: dict[str, int] = field(default_factory=dict)
    looked: float = 0.0

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def claims(self) -> Path:
        return self.folder / "claims"

    def go(self, chosen: Sequence[PlannedRun]) -> None:
        """Until every chosen job is done here or elsewhere. Raises ExpError for a run that cannot start."""
        pool = CellProcesses(self.folder / "logs", threads(self.size), gpus(), self.plan.table.config_dir)
        try:
            with _signals(self):
                self._loop(pool, list(chosen))
        finally:
            pool.release()
            if self.stop == "now" or any(worker.busy for worker in pool.workers.values()):
                pool.stop(GRACE)
            for worker in list(pool.workers.values()):
                worker.process.wait()
                if worker.busy is not None:
                    claims.release(worker.busy[1])
                    self._read_stopped(*worker.busy)

    def _read_stopped(self, job: PlannedRun, claim: Path, folder: Path) -> None:
        run = _read(folder)
        if run is not None:
            self.plan.known[job.key] = run
        plan.find_run(self.plan, job, False)

    def _loop(self, pool: CellProcesses, chosen: list[PlannedRun]) -> None:
        while True:
            self._release_waiting(chosen)
            if not self.stop:
                self._start_jobs(pool, chosen)
            busy = sum(worker.busy is not None for worker in pool.workers.values())
            self.show(self.plan, busy)
            if self.stop == "now" or (not busy and (self.stop or not _open(chosen))):
                return
            if not pool.workers:
                time.sleep(POLL)
            for worker, answer in pool.wait(POLL) if pool.workers else ():
                self._take_answer(worker, answer)
            if time.monotonic() - self.looked > LOOK:
                self._check_other_commands(pool, chosen)

    def _release_waiting(self, chosen: list[PlannedRun]) -> None:
        """Jobs whose initial weights now exist get their condition; their run may exist already."""
        for job in chosen:
            if job.state == "waiting" and job.after is not None and job.after.state in ("found", "failed"):
                plan.find_run(self.plan, job, self.retry_failed)

    def _start_jobs(self, pool: CellProcesses, chosen: list[PlannedRun]) -> None:
        missing = [job for job in chosen if job.state == "missing"]
        for slot in range(self.size):
            worker = pool.workers.get(slot)
            if worker is not None and worker.busy is not None:
                continue
            while missing:
                job = missing.pop(0)
                claim = claims.take(self.claims, job.tag)
                if claim is None:
                    job.state = "running"  # by someone else
                    continue
                if self._finished_meanwhile(job):
                    claims.release(claim)
                    continue
                worker = worker or pool.start(slot)
                folder, words = self._start_overrides(job)
                job.state = "running"
                if not worker.send({"train": words, "claim": str(claim)}, (job, claim, folder)):
                    worker.busy = (job, claim, folder)  # found dead at the next look at its output
                break

    def _take_answer(self, worker: CellProcess, answer: dict[str, Any] | None) -> None:
        if worker.busy is None:
            return
        job, claim, folder = worker.busy
        worker.busy = None
        claims.release(claim)
        run = _read(folder)
        if run is not None:
            self.plan.known[job.key] = run
        if answer is None:
            self.deaths[job.tag] = self.deaths.get(job.tag, 0) + 1
            if self.deaths[job.tag] >= MAX_DEATHS:
                raise ExpError(
                    f"cell {job.cell}: its process died {MAX_DEATHS} times. The end of {worker.log}:\n{worker.tail()}"
                )
            self.say(f"{job.cell} lost its process; it runs again")
            job.state = "missing"
        elif run is None:
            raise ExpError(f"cell {job.cell} could not start; the end of {worker.log}:\n{worker.tail()}")
        elif answer["code"] in STOPPED and run.status == "interrupted":
            job.state = "missing"
            self.stop = self.stop or "finish"
        else:
            plan.find_run(self.plan, job, False)
            ended = f"{run.status}{f' ({run.reason})' if run.reason else ''}"
            self.say(f"{job.cell} {_seeds_text(job)}: {ended}")

    def _start_overrides(self, job: PlannedRun) -> tuple[Path, list[str]]:
        """The folder and overrides of a job: resumes its interrupted run, or names a new folder."""
        held = job.run
        if held is not None and held.folder is not None and held.status in ("interrupted", "died", "running"):
            ours = held.folder.is_relative_to(self.runs.resolve())
            if ours:
                return held.folder, [f"resume={quoted(held.folder)}"]
        folder, count = self.runs / job.tag, 1
        while folder.exists():
            if not (folder / "run.json").exists():  # its process died before it began; we hold the claim
                shutil.rmtree(folder)
                break
            count += 1
            folder = self.runs / f"{job.tag}.{count}"
        words = [*job.words, f"hydra.run.dir={quoted(folder)}"]
        for tracker in ("wandb", "trackio"):
            if f"tracker.{tracker}.group" in job.config and job.config[f"tracker.{tracker}.group"] is None:
                words.append(f"tracker.{tracker}.group='{self.plan.table.name}'")
        return folder, words

    def _finished_meanwhile(self, job: PlannedRun) -> bool:
        """Whether another command has finished the job since we planned; an unfinished run is noted in the job."""
        for folder in sorted(self.runs.glob(f"{job.tag}*")):
            run = _read(folder)
            if run is None:
                continue
            if run.status == "completed" or (run.status == "failed" and not self.retry_failed):
                self.plan.known[job.key] = run
                plan.find_run(self.plan, job, self.retry_failed)
                return True
            if run.status != "failed":
                job.run = run
        return False

    def _check_other_commands(self, pool: CellProcesses, chosen: Sequence[PlannedRun]) -> None:
        self.looked = time.monotonic()
        ours = {id(worker.busy[0]) for worker in pool.workers.values() if worker.busy is not None}
        for job in chosen:
            if job.state != "running" or id(job) in ours or claims.is_held(self.claims, job.tag):
                continue
            if (
                job.run is not None
                and job.run.folder is not None
                and not job.run.folder.is_relative_to(self.runs.resolve())
            ):
                run = _read(job.run.folder)  # started by another command than exp.table
                if run is not None and run.status == "running":
                    continue
                if run is not None:
                    self.plan.known[job.key] = run
                plan.find_run(self.plan, job, self.retry_failed)
            elif not self._finished_meanwhile(job):
                job.state = "missing"


def check_configs(made: TablePlan, folder: Path) -> None:
    """Each row, column, search point and cell of its own, before the first run."""
    table = made.table
    if not made.jobs:
        return
    first_row, first_column = table.rows[0].name, table.columns[0].name
    asked: dict[tuple[str, ...], str] = {}
    for job in made.jobs:
        own = bool(table.cell(job.row, job.column).overrides)
        firsts = (job.row == first_row) + (job.column == first_column) + (job.point == 0)
        if job.state in ("missing", "waiting") and (own or firsts >= 2):
            # The seed says nothing about whether a config can work.
            words = tuple(word for word in job.words if word.partition("=")[0] not in job.seeds)
            asked.setdefault(words, job.cell)
    check_all([(cell, words) for words, cell in asked.items()], folder / "logs", table.config_dir)


def _read(folder: Path) -> RunData | None:
    try:
        return read_run(folder.resolve())
    except ExpError:
        return None


def _open(chosen: Sequence[PlannedRun]) -> bool:
    """Whether a job can still start or end. A job that waits for a failed run cannot."""
    return any(job.state in ("missing", "running") for job in chosen) or any(
        job.state == "waiting" and job.after is not None and job.after in chosen and job.after.state != "failed"
        for job in chosen
    )


def _seeds_text(job: PlannedRun) -> str:
    return " ".join(f"{name}={value}" for name, value in job.seeds.items())


@contextmanager
def _signals(work: TableRunner) -> Iterator[None]:
    """Ctrl-C once: running cells end, no new one begins. Twice, or SIGTERM: now."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def asked(number: int, frame: object) -> None:
        work.stop = "now" if number == signal.SIGTERM or work.stop else "finish"
        work.say("stopping now" if work.stop == "now" else "finishing the running cells; Ctrl-C again stops them now")

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
