"""Workers that one of Hydra's launchers runs: SLURM jobs, Ray tasks, joblib's processes.

Each launch waits in a thread of its own. So the coordinator can go on to show the study, recover the trials of dead
workers and launch new ones. A worker learns everything through the storage, because only that reaches every machine:
also that it should stop.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from exp.config.launchers import main_line
from exp.errors import ExpError
from exp.work.heartbeat import heartbeat_key, stop_key
from exp.work.settings import WorkSettings
from exp.work.trial_queue import TrialQueue
from exp.work.worker import Worker

END_SECONDS = 10.0  # seconds that launched workers get to end by themselves, once nothing is left to do
GIVE_UP = 3  # launches in a row, a worker, that end without a finished trial


def runs_here(config: DictConfig) -> bool:
    """Whether no launcher is named, so that workers are processes of this machine."""
    return config.hydra.runtime.choices.get("hydra/launcher") == "basic"


def by_launcher(
    worker: Worker, settings: WorkSettings, overrides: list[str]
) -> Callable[[TrialQueue, Callable[[str], None]], LauncherWorkers] | None:
    """Makes the workers that the config's launcher runs; None where it names none: they are processes of ours."""
    jobs = worker.jobs
    if runs_here(jobs.master):
        return None

    def make(queue: TrialQueue, say: Callable[[str], None]) -> LauncherWorkers:
        beat, size = settings.beat_every, settings.n_jobs
        return LauncherWorkers(jobs.master, jobs.context, worker.named, overrides, beat, queue, size, say)

    return make


@dataclass
class Launch:
    """One call of the launcher: its workers, and its error if it failed."""

    workers: int
    thread: threading.Thread | None = None
    error: BaseException | None = None


@dataclass
class LauncherWorkers:
    """Keeps up to `size` workers running through a launcher. See exp.work.coordinator.Workers."""

    config: DictConfig
    context: HydraContext
    make_worker: Callable[[str, str], TaskFunction]  # (name, coordinator): what a launcher is to run
    overrides: list[str]  # of every trial, for the launcher's own records
    beat_every: float  # seconds
    queue: TrialQueue
    size: int
    say: Callable[[str], None]
    coordinator: str = field(default_factory=lambda: secrets.token_hex(4))
    running: dict[int, Launch] = field(default_factory=dict)  # by the first of their slots
    launches: int = 0
    deaths: int = 0  # in a row, without a trial told in between
    looked: float = field(default_factory=time.monotonic)  # for signs of life
    submitted_before: int = field(init=False)

    def __post_init__(self) -> None:
        self.submitted_before = self._submitted()

    @property
    def busy(self) -> int:
        return sum(launch.workers for launch in self.running.values())

    @property
    def handed_over(self) -> bool:
        """Other launchers than submitit's do not say when they have taken a worker."""
        return not self._one_job_each or self._submitted() - self.submitted_before >= self.launches

    def _submitted(self) -> int:
        """Jobs that submitit has put into its queue: it leaves a file of each."""
        if not self._one_job_each:
            return 0
        folder = Path(self.config.hydra.launcher.submitit_folder.partition("%j")[0])
        return sum(1 for _ in folder.glob("*/*_submitted.pkl"))

    def fill(self, wanted: int) -> None:
        missing = min(wanted, self.size) - self.busy
        if missing <= 0:
            return
        # SLURM's jobs start and end one by one. Other launchers run a launch as a whole, until its last worker ends.
        for count in [1] * missing if self._one_job_each else [missing]:
            self._launch(count)

    def reap(self, trials_done: int, trials_done_before: int) -> bool:
        """Forgets launches that ended. True if one of them failed or lost its worker."""
        died = False
        beats: dict[str, Any] = {}
        if self._one_job_each and time.monotonic() - self.looked > self.beat_every:
            self.looked = time.monotonic()
            beats = self._heartbeats()
        for slot, launch in list(self.running.items()):
            assert launch.thread is not None
            gone = launch.thread.is_alive() and self._worker_is_lost(slot, beats)
            if launch.thread.is_alive() and not gone:
                continue
            del self.running[slot]
            if launch.error is None and not gone:
                continue
            died = True
            self.deaths = 1 if trials_done > trials_done_before else self.deaths + 1
            why = main_line(launch.error) if launch.error else "no heartbeat, and its job is gone"
            begun = bool(self._heartbeats())
            if isinstance(launch.error, ExpError) or not begun or self.deaths > GIVE_UP * self.size:
                what = "workers die without finishing a trial" if begun else "no worker began"
                raise ExpError(f"hydra/launcher={self._option}: {what}: {why}")
            self.say(f"worker {slot} ended: {why}")
        return died

    def release(self) -> None:
        """Asks every worker to end after its trial."""
        self.queue.retrying(lambda: self.queue.study.set_user_attr(stop_key(self.coordinator), True))

    def stop(self, seconds: float) -> None:
        """Cancels SLURM's jobs, whose runs then save. Other workers end after their trial, or with this process."""
        self.release()
        jobs = sorted({beat["slurm"] for beat in self._heartbeats().values() if "slurm" in beat})
        if jobs and shutil.which("scancel"):
            subprocess.run(["scancel", *jobs], capture_output=True)
            self._wait(seconds)

    def leave(self) -> None:
        """The study is complete: workers end by themselves, those still in a queue as soon as they start."""
        self._wait(END_SECONDS)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for launch in self.running.values():
            if launch.thread is not None:
                launch.thread.join(max(0.0, end - time.monotonic()))

    @property
    def _option(self) -> str:
        return str(self.config.hydra.runtime.choices.get("hydra/launcher"))

    @property
    def _one_job_each(self) -> bool:
        return "submitit" in str(self.config.hydra.launcher.get("_target_", ""))

    def _launch(self, count: int) -> None:
        slot = self.launches
        self.launches += count
        worker = self.make_worker(f"{self.coordinator}-{slot}", self.coordinator)
        launcher = Plugins.instance().instantiate_launcher(
            config=self.config, hydra_context=self.context, task_function=worker
        )
        # Not <n>: that is trial n's folder.
        jobs = [[f"hydra.sweep.subdir=workers/{slot + index}"] for index in range(count)]
        launch = Launch(count)

        def work() -> None:
            try:
                for returned in launcher.launch([[*job, *self.overrides] for job in jobs], initial_job_idx=slot):
                    _ = returned.return_value  # raises what the worker raised
            except BaseException as error:  # told by `reap`, in the coordinator's thread
                launch.error = error

        # A daemon thread, because a launcher may wait for a job for ever.
        launch.thread = threading.Thread(target=work, daemon=True, name=f"launch {slot}")
        self.running[slot] = launch
        launch.thread.start()

    def _heartbeats(self) -> dict[str, Any]:
        """The last heartbeats of this coordinator's workers."""
        attrs: Mapping[str, Any] = self.queue.retrying(lambda: self.queue.study.user_attrs)
        mine = heartbeat_key(f"{self.coordinator}-")
        return {key.removeprefix(heartbeat_key("")): beat for key, beat in attrs.items() if key.startswith(mine)}

    def _worker_is_lost(self, slot: int, beats: Mapping[str, Any]) -> bool:
        """Whether the slot's worker has died, and SLURM does not have its job in the queue to start it again.

        submitit itself asks sacct only every ten minutes, and waits for ever where SLURM has no accounting.
        """
        own = {name: beat for name, beat in beats.items() if name.startswith(f"{self.coordinator}-{slot}-")}
        if not own:  # in the queue
            return False
        name = max(own, key=lambda name: own[name]["time"])
        return not self.queue.signs.is_alive(name, own[name]) and not _in_queue(own[name].get("slurm"))


def _in_queue(job: str | None) -> bool:
    if job is None or shutil.which("squeue") is None:
        return False
    asked = subprocess.run(["squeue", "-h", "-j", job, "-o", "%T"], capture_output=True, text=True)
    # CANCELLED and the like stay listed for some minutes.
    return any(state in ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED") for state in asked.stdout.split())
