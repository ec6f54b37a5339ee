"""How a list of jobs is worked on: the keys of conf/hydra/sweeper/study.yaml that a table takes as well as a sweep."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge

from exp.errors import ExpError
from exp.options.option import construct
from exp.run.environment import memory

PROCESS_BYTES = 2 * 10**8  # of memory that a worker has to itself, at the least: a fork with a tiny model
Natural = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(1)]
Seconds = Annotated[float, Ge(0.1)]


@dataclass(frozen=True)
class WorkSettings:
    """Defaults stand in the YAML. Raises ExpError naming the first key that cannot be."""

    storage: str | None
    study_name: str | None
    n_jobs: Natural
    processes_per_trial: Count
    detach: bool
    threads: Count | None
    retries: Natural
    beat_every: Seconds
    stale_after: Seconds

    def __post_init__(self) -> None:
        name = self.study_name
        if name is not None and not (isinstance(name, str) and re.fullmatch(r"[^\s./\\][^/\\\0]{0,199}", name)):
            raise ExpError(
                f"hydra.sweeper.study_name={name!r} names a folder in multirun/: 1 to 200 characters, no / or \\, no "
                "dot or space in front"
            )
        if self.detach and self.n_jobs == 0:
            raise ExpError("--detach leaves workers behind, and n_jobs=0 has none: take n_jobs=1")
        if self.stale_after < 3 * self.beat_every:
            raise ExpError(
                f"hydra.sweeper.stale_after={self.stale_after} s must be at least three times "
                f"beat_every={self.beat_every} s, or one late heartbeat looks like a death"
            )

    def check_fits(self, cores: int, gpus: Sequence[str]) -> None:
        """Warns of more processes than cores. Raises ExpError where they find no room at all."""
        each, workers = self.processes_per_trial, max(1, self.n_jobs)
        have, what = (len(gpus), "GPUs") if gpus else (cores, "cores")
        if each > 1 and each > have:
            raise ExpError(
                f"hydra.sweeper.processes_per_trial={each}, and this machine has {have} {what}: take {have} at "
                "most, or a launcher whose nodes have more"
            )
        room = memory() // PROCESS_BYTES
        if workers * each > room:
            raise ExpError(
                f"hydra.sweeper.n_jobs={self.n_jobs} are {workers * each} processes with torch in each, and this "
                f"machine has memory for {room} at most; {max(1, cores // each)} fill its {cores} cores"
            )
        if workers * each > cores:
            what = f"n_jobs={self.n_jobs} workers" + (f" of {each} processes each" if each > 1 else "")
            print(f"warning: {what} share {cores} cores; they will slow each other down", flush=True)

    def threads_each(self, cores: int) -> int:
        """Of a worker's process, on this machine."""
        given = os.environ.get("OMP_NUM_THREADS", "")
        threads = self.threads or (int(given) if given.isdecimal() else 0)
        return threads or max(1, cores // (max(1, self.n_jobs) * self.processes_per_trial))

    @classmethod
    def of(cls, sweeper: Mapping[str, Any]) -> WorkSettings:
        """From all keys of the sweeper."""
        given = {field.name: sweeper[field.name] for field in dataclasses.fields(cls)}
        return construct(cls, given, "hydra.sweeper")


def gpus_of(slot: int, each: int, gpus: Sequence[str]) -> str:
    """CUDA_VISIBLE_DEVICES of a worker, with one GPU for each of its `each` processes."""
    return ",".join(gpus[(slot * each + index) % len(gpus)] for index in range(min(each, len(gpus))))


def processes_word(config: Any, processes: int) -> list[str]:
    """The override that tells a run how many processes train it: it multiplies the batch, so it is of the condition.

    Raises:
        ExpError: The command says another number.
    """
    if processes == 1 or "distributed" not in config:
        return []
    if config.distributed.processes not in (1, processes):
        raise ExpError(
            f"distributed.processes={config.distributed.processes}, and hydra.sweeper.processes_per_trial={processes} "
            "starts the processes of each run: leave distributed.processes out"
        )
    return [f"distributed.processes={processes}"]


@dataclass(frozen=True)
class WorkPlan:
    """What every worker of a study or table needs to know of it, in plain values."""

    study_name: str
    storage: str | None
    folder: Path
    n_trials: int | None  # None: a fixed list of jobs, to which no trial is added
    only: frozenset[str] | None  # tags of the jobs that this command works on; None: all
    retries: int
    beat_every: float  # seconds
    stale_after: float  # seconds
