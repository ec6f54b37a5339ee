"""Submit and leave: a coordinator that goes on without its terminal, and how a later command finds it again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exp.errors import ExpError
from exp.run.said import near
from exp.work.heartbeat import heartbeat_key
from exp.work.trial_queue import TrialQueue

MARK = "EXP_DETACHED"  # set for a coordinator that was left behind
COORDINATOR = "coordinator"  # its heartbeat in the study
STOP = "stop"  # of the study: whether every worker and coordinator is to end now
START_SECONDS = 300.0  # for the coordinator to say that it runs, which it does once its workers are handed over
LOG = "coordinator.log"


def is_detached() -> bool:
    """Whether this is what was left behind; it is started by the words of the command, `--detach` and all."""
    return MARK in os.environ


def leave_to_background(queue: TrialQueue, folder: Path) -> None:
    """Starts this command once more, in a session of its own, and waits until its workers are with the launcher.

    Raises:
        ExpError: It ended before; with the end of its log.
    """
    if living_coordinator(queue) is not None:
        raise ExpError(f"study {queue.study.study_name} has been left to the background before, and still runs there")
    log = folder / LOG
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, *_program(), *sys.argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, MARK: "1"},
            start_new_session=True,
        )
    end = time.monotonic() + START_SECONDS
    while living_coordinator(queue) is None:
        if process.poll() is not None and process.returncode != 0:
            told = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise ExpError(f"the background process has ended: {''.join(told)} ({log})")
        if process.returncode == 0 or time.monotonic() > end:
            break  # all was done already; or the launcher takes its time
        time.sleep(0.2)
    print(f"left to the background (process {process.pid}, {near(log)}); the same command without --detach shows it")
    print(f"  exp runs studies lists it, exp runs stop {queue.study.study_name} ends it", flush=True)


def _program() -> list[str]:
    """What Python has to run for this command; a notebook or the script `exp` says it in sys.argv."""
    start, _, name = sys.argv[0].partition(" ")
    if start == "exp" and name:
        return ["-m", f"exp.{name.replace('sweep', 'train')}"]
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return ["-m", spec.name.removesuffix(".__main__")] if spec is not None and spec.name else [sys.argv[0]]


def living_coordinator(queue: TrialQueue) -> dict[str, Any] | None:
    """The heartbeat of a detached coordinator that lives; None without one."""
    beat = queue.retrying(lambda: queue.study.user_attrs).get(heartbeat_key(COORDINATOR))
    return beat if beat is not None and queue.signs.is_alive(COORDINATOR, beat) else None


def is_asked_to_stop(queue: TrialQueue) -> bool:
    return bool(queue.retrying(lambda: queue.study.user_attrs).get(STOP))


def ask_to_stop(queue: TrialQueue, stop: bool) -> None:
    """For every command and worker of the study."""
    if stop or is_asked_to_stop(queue):
        queue.retrying(lambda: queue.study.set_user_attr(STOP, stop))


def living_workers(queue: TrialQueue) -> dict[str, Mapping[str, Any]]:
    """Heartbeats of workers that live, by name."""
    attrs = queue.retrying(lambda: queue.study.user_attrs)
    beats = {key.removeprefix(heartbeat_key("")): beat for key, beat in attrs.items() if key.startswith("worker ")}
    return {name: beat for name, beat in beats.items() if name != COORDINATOR and queue.signs.is_alive(name, beat)}


def stop(queue: TrialQueue, seconds: float) -> bool:
    """Asks all to end, cancels SLURM's jobs, and waits. True if nothing runs any more.

    A run gets the time to save; the same command goes on with it.
    """
    ask_to_stop(queue, True)
    jobs = sorted({str(beat["slurm"]) for beat in living_workers(queue).values() if "slurm" in beat})
    if jobs and shutil.which("scancel"):
        subprocess.run(["scancel", *jobs], capture_output=True)
    end = time.monotonic() + seconds
    while living_workers(queue) or living_coordinator(queue):
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    queue.recover()
    return True
