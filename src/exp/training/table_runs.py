"""Runs what a table misses: a study with a fixed list, one trial a run, on the workers that a sweep has too.

Several such commands can share a folder, also on several machines. The storage says who works on what; the run folders
say what is there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from exp.analysis.run_data import RunData, read_run
from exp.analysis.tables import plan
from exp.analysis.tables.picture import Picture
from exp.analysis.tables.plan import PlannedRun, TablePlan
from exp.compat.hydra import context
from exp.config.compose import composer
from exp.config.grammar import quoted
from exp.config.hydra_node import check_hydra
from exp.config.launchers import check_launcher
from exp.errors import ExpError
from exp.loop.trial import NoTrial
from exp.options import trust
from exp.run.environment import cores, gpus
from exp.run.files import no_room
from exp.training.launch import Job, Task, no_hydra_files
from exp.work.coordinator import Coordinator
from exp.work.detached import is_detached, leave_to_background
from exp.work.fixed_list import JOB, latest_by_tag
from exp.work.folder import gone_unless_opened, make_folder
from exp.work.forks import ForkServer, forked
from exp.work.hydra_jobs import HydraJobs
from exp.work.launcher_workers import by_launcher, runs_here
from exp.work.locks import ClaimLock
from exp.work.settings import WorkPlan, WorkSettings
from exp.work.storage import open_storage, opening_errors, quiet_optuna
from exp.work.storage_file import check_storage
from exp.work.trial_queue import TrialQueue, open_queue
from exp.work.trial_ranks import RankDied
from exp.work.worker import Outcome, Worker

LOOK = 2.0  # seconds between two looks at what others run
UNSTARTED = "unstarted"  # a job whose run could not begin, so that there is no record of it
KNOWN = frozenset({"runs", "claims", "logs", "table.md", "table.tex", "table.csv", "table.html"})  # in older folders


@dataclass(frozen=True)
class CellRecipe:
    """See exp.work.worker.Recipe. A job's words stand in the storage; nothing is drawn."""

    table: str
    since: int  # trials of the study that are older than this command

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.RandomSampler()

    def pruner(self) -> None:
        return None

    def problem(self, trials: Sequence[FrozenTrial]) -> ExpError | None:
        for trial in trials:
            if trial.number >= self.since and trial.user_attrs.get(UNSTARTED):
                return ExpError(f"cell {trial.user_attrs[JOB]['cell']} could not start: {trial.user_attrs['error']}")
        return None

    def run(self, jobs: HydraJobs, queue: TrialQueue, trial: optuna.Trial) -> Outcome:
        job = trial.user_attrs[JOB]
        home = Path(jobs.master.hydra.sweep.dir)
        words = [*job["words"], f"hydra.sweep.subdir={quoted(job['folder'])}"]
        for first in job["after"]:
            weights = latest_by_tag(queue.retrying(queue.study.get_trials))[first].user_attrs[JOB]["folder"]
            words = list(plan.starting_from(words, home / weights / "model"))
        done = _read(home / job["folder"])
        if done is not None and done.status == "completed":  # its worker died before it could tell
            return Outcome(TrialState.COMPLETE, [0.0])
        try:
            run = jobs.run(jobs.compose(words, job["tag"], trial.number), NoTrial(self.table))
        except Exception as error:
            # What was lost is started again, and what has no room waits for it: the worker sees to both.
            if isinstance(error, RankDied) or no_room(error) or _read(home / job["folder"]) is not None:
                raise
            return Outcome(TrialState.FAIL, None, {"error": str(error)[:500], UNSTARTED: True})
        value = float(run.value)
        # A study takes no NaN for a value. The run's own record has it.
        return Outcome(TrialState.COMPLETE, [math.inf if math.isnan(value) else value])


@dataclass
class TableRuns:
    """One `exp.table` command that runs what is missing."""

    made: TablePlan
    chosen: Sequence[PlannedRun]
    folder: Path  # of the table, absolute
    retry_failed: bool
    jobs: HydraJobs
    settings: WorkSettings
    shown: Picture
    server: ForkServer | None  # whose forks the workers of this machine are
    told: set[int] = field(default_factory=set)  # trials whose end was printed

    def go(self) -> bool:
        """Until every chosen run is done here or elsewhere. True if it was stopped before.

        Raises:
            ExpError: A run cannot start, or workers die without a result.
        """
        name = self.settings.study_name or f"table-{self.made.table.name}"
        check_storage(self.settings.storage, self.folder)
        make_folder(self.folder, name, self.settings.storage, "table", KNOWN)
        self._make_study(name)
        whole = WorkPlan(
            study_name=name,
            storage=self.settings.storage,
            folder=self.folder,
            n_trials=None,
            only=None,
            retries=self.settings.retries,
            beat_every=self.settings.beat_every,
            stale_after=self.settings.stale_after,
        )
        while True:
            queue = open_queue(whole)
            since = len(queue.trials())
            wanted = [*self._wanted()]
            queue.enqueue([self._described(job, wanted) for job in wanted], self._begins_again)
            if self.settings.detach and not is_detached():
                leave_to_background(queue, self.folder)
                return False
            held = latest_by_tag(queue.trials())
            ours = {job.tag for job in self.chosen if job.state not in ("found", "failed") and job.tag in held}
            if ours and self._work(replace(whole, only=frozenset(ours)), since):
                return True
            if not any(job.state == "running" for job in self.chosen):
                return False
            time.sleep(LOOK)
            self._look_elsewhere()

    def _make_study(self, name: str) -> None:
        storage = self.settings.storage
        with opening_errors(storage, self.folder):
            with gone_unless_opened(self.folder):
                opened = open_storage(storage, self.folder)
            with ClaimLock(storage, self.folder, name):
                study = optuna.create_study(study_name=name, storage=opened, direction="maximize", load_if_exists=True)
                holds = study.user_attrs.get("table", "a search" if "search space" in study.user_attrs else None)
                if holds not in (None, self.made.table.name):
                    raise ExpError(
                        f"study {name} holds {holds}, and this is the table {self.made.table.name}: give it another "
                        "name with hydra.sweeper.study_name=..."
                    )
                study.set_user_attr("table", self.made.table.name)

    def _wanted(self) -> Iterator[PlannedRun]:
        """What is missing, with what waits for it alone."""
        wanted: set[int] = set()
        for job in self.chosen:
            if job.state == "missing" or (job.state == "waiting" and id(job.after) in wanted):
                wanted.add(id(job))
                yield job

    def _described(self, job: PlannedRun, wanted: Sequence[PlannedRun]) -> dict[str, Any]:
        words = [*job.words]
        for tracker in ("wandb", "trackio"):
            if f"tracker.{tracker}.group" in job.config and job.config[f"tracker.{tracker}.group"] is None:
                words.append(f"tracker.{tracker}.group='{self.made.table.name}'")
        after = [job.after.tag] if job.after is not None and any(job.after is other for other in wanted) else []
        folder = self._folder_of(job).relative_to(self.folder)
        return {"tag": job.tag, "after": after, "cell": job.cell, "words": words, "folder": folder.as_posix()}

    def _folder_of(self, job: PlannedRun) -> Path:
        """That of the interrupted run, else a new one."""
        runs = self.folder / "runs"
        held = job.run.folder if job.run is not None and job.run.status in ("interrupted", "died") else None
        if held is not None and held.is_relative_to(runs.resolve()):
            return runs / held.relative_to(runs.resolve())
        folder, count = runs / job.tag, 1
        while (folder / "run.json").exists():
            count += 1
            folder = runs / f"{job.tag}.{count}"
        return folder

    def _begins_again(self, trial: FrozenTrial) -> bool:
        """Whether a job that is over is to run once more; another command may have finished it a moment ago."""
        run = _read(self.folder / trial.user_attrs[JOB]["folder"])
        if run is None or run.status == "completed":
            return run is None
        return self.retry_failed or run.status != "failed"

    def _work(self, work: WorkPlan, since: int) -> bool:
        recipe = CellRecipe(self.made.table.name, since)
        worker = Worker(work, self.jobs, recipe)
        launched = by_launcher(worker, self.settings, [])
        request, problem = Coordinator(open_queue(work), worker, self.settings, launched, self, self.server).run()
        if problem is not None:
            raise problem
        return bool(request)

    def say(self, text: str) -> None:
        self.shown.say(text)

    def update(self, trials: Sequence[FrozenTrial], workers: int) -> None:
        """Takes over from the storage how each run is going. See exp.work.coordinator.Progress."""
        held = latest_by_tag(trials)
        for job in self.chosen:
            trial = held.get(job.tag)
            if trial is None:
                continue
            if trial.state == TrialState.RUNNING:
                job.state = "running"
            elif trial.state == TrialState.WAITING:
                job.state = "waiting" if trial.user_attrs[JOB]["after"] else "missing"
            elif trial.number not in self.told:
                self.told.add(trial.number)
                self._end(job, trial)
        self.shown.show(self.made, workers)

    def _end(self, job: PlannedRun, trial: FrozenTrial) -> None:
        job.run = _read(self.folder / trial.user_attrs[JOB]["folder"])
        job.why = job.run.reason if job.run is not None else trial.user_attrs.get("error")
        job.state = "found" if job.run is not None and job.run.status == "completed" else "failed"
        if job.run is not None:
            job.condition = job.condition or job.run.condition
            if job.run.condition != job.condition:
                job.state, job.why = "failed", "the options in conf/ were changed while the table ran"
        elif job.after is not None and job.after.state == "failed":
            job.state, job.why = "waiting", f"{job.after.cell} failed"
        status = job.run.status if job.run is not None else "not run"
        seeds = " ".join(f"{name}={value}" for name, value in job.seeds.items())
        self.say(f"{job.cell} {seeds}: {status}{f' ({job.why})' if job.why else ''}")

    def _look_elsewhere(self) -> None:
        """Runs that another command than exp.table has begun, and what waits for them."""
        for job in self.chosen:
            if job.state == "running" and job.run is not None and job.run.folder is not None:
                if (run := _read(job.run.folder)) is not None:
                    self.made.known[job.key] = run
                plan.find_run(self.made, job, self.retry_failed)
            elif job.state == "waiting":
                plan.find_run(self.made, job, self.retry_failed)


@contextmanager
def table_jobs(words: Sequence[str], folder: Path, config_dir: Path | None, task: Task) -> Iterator[HydraJobs]:
    """What the runs of a table share: launcher and workers as `words` say, and the search path.

    Raises:
        ExpError: The words do not fit, or the launcher could start nothing.
    """
    words = ["hydra/sweeper=study", *words, f"hydra.sweep.dir={quoted(folder)}"]
    with composer(config_dir=config_dir) as made, quiet_optuna():
        config = made.compose(words, multirun=True)
        with made.explaining(words):
            check_hydra(config)
            check_launcher(config)
        no_hydra_files(config)
        processes = config.hydra.sweeper.processes_per_trial
        yield HydraJobs(config, context(made.loader, trust.whitelist()), Job(task), processes)


def check_configs(made: TablePlan, jobs: HydraJobs) -> None:
    """Each row, column, search point and cell of its own, before the first run. Raises ExpError naming the cell."""
    table = made.table
    first_row, first_column = table.rows[0].name, table.columns[0].name
    asked: dict[tuple[str, ...], str] = {}
    for job in made.jobs:
        own = bool(table.cell(job.row, job.column).overrides)
        firsts = (job.row == first_row) + (job.column == first_column) + (job.point == 0)
        if job.state in ("missing", "waiting") and (own or firsts >= 2):
            # The seed says nothing about whether a config can work.
            words = tuple(word for word in job.words if word.partition("=")[0] not in job.seeds)
            asked.setdefault(words, job.cell)
    for words, cell in asked.items():
        try:
            processes = OmegaConf.select(jobs.compose(words, cell, 0), "distributed.processes", default=1)
        except ExpError as error:
            raise ExpError(f"cell {cell}: {error}") from None
        if processes != jobs.processes:
            raise ExpError(
                f"cell {cell}: distributed.processes={processes}, and "
                f"hydra.sweeper.processes_per_trial={jobs.processes} starts the processes of each run: "
                "leave distributed.processes out"
            )


def run_missing(
    made: TablePlan,
    chosen: Sequence[PlannedRun],
    folder: Path,
    retry_failed: bool,
    jobs: HydraJobs,
) -> bool:
    """See TableRuns.go."""
    settings = WorkSettings.of(jobs.master.hydra.sweeper)
    here = runs_here(jobs.master)
    if here:
        settings.check_fits(cores(), gpus())
    shown = Picture(made.table.name)
    try:
        with forked(settings, jobs.task if here else None) as server:
            return TableRuns(made, chosen, folder, retry_failed, jobs, settings, shown, server).go()
    finally:
        shown.close()


def _read(folder: Path) -> RunData | None:
    try:
        return read_run(folder.resolve())
    except ExpError:
        return None
