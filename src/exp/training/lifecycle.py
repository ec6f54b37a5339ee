"""Around a run: its record tells the truth however the run ends."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from exp.config.compose import composed_from
from exp.config.trusted_code import record_packages, warn_of_changes
from exp.distributed import ranks
from exp.distributed.shared_fate import log_name, shared_fate
from exp.errors import ExpError
from exp.run.files import disk_trouble
from exp.run.folder import Run, create, read_record, reopen
from exp.run.interrupts import Interrupted
from exp.run.lock import locked
from exp.run.logs import TO_FILE_ONLY, logged_to
from exp.study import trial

if TYPE_CHECKING:
    from exp.tracker.base import Tracker

log = logging.getLogger(__name__)


@dataclass
class Ending:
    """What the body says of how it went; an exception overrules it."""

    status: str = "completed"
    reason: str | None = None


def open_run(folder: Path, config: Mapping[str, Any]) -> Run:
    """A new run in a claimed folder; or the one that lies there, its metrics cut back to its newest checkpoint."""
    if not (folder / "run.json").exists():
        run = create(folder, config, group_of(config))
        run.update(search_path=composed_from(), trusted=record_packages())
        return run
    from exp.training import resume

    warn_of_changes(read_record(folder))

    resume.check_goes_on(folder, config)
    resume.save_config(folder, config)
    run = reopen(folder, config)
    resume.go_back(run)
    return run


def group_of(config: Mapping[str, Any]) -> str | None:
    """The study's or table's name inside one, as the trackers have it."""
    named = (tracker.get("group") for tracker in config["tracker"].values() if isinstance(tracker, Mapping))
    return trial.study.get() or next((group for group in named if group), None)


@contextmanager
def opened(folder: Path, config: Mapping[str, Any]) -> Iterator[Run]:
    """The run in `folder`, locked and logged. One process keeps its record; the others have a log of their own."""
    together = ranks.current.get()
    rank = together.place.rank
    if together.place.first:
        with locked(folder), logged_to(folder / log_name(rank)):
            run = open_run(folder, config)
            together.decide("run", lambda: [run.id, run.condition])
            yield run
        return
    folder.mkdir(parents=True, exist_ok=True)  # perhaps on another host
    with logged_to(folder / log_name(rank), screen=False):
        identity, condition = together.decide("run", list)
        yield Run(folder, identity, condition, config["seed"], config, kept=False)


@contextmanager
def recorded(run: Run, tracker: Tracker) -> Iterator[Ending]:
    """Starts the tracker; at the end writes the status and finishes the tracker, whatever happened.

    SIGTERM, SIGUSR1 and SIGUSR2 raise Interrupted here; while a loop runs, its session takes them and saves first.
    """
    ending = Ending()
    before = _raise_on(signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    try:
        tracker.start(run)
        with shared_fate(run, tracker):
            yield ending
    except (Interrupted, KeyboardInterrupt) as error:
        ending.status, ending.reason = "interrupted", getattr(error, "reason", "SIGINT")
        raise
    except BaseException as error:
        told = error if isinstance(error, ExpError) else _disk_error(error, run)
        ending.status = "failed"
        ending.reason = str(told) if told else f"{type(error).__name__}: {error}"
        if told and told is not error:
            raise told from error
        if not told:  # Python shows it on the screen
            log.error("the run failed", exc_info=True, extra=TO_FILE_ONLY)
        raise
    finally:
        try:
            run.finish(ending.status, ending.reason)
        except OSError as error:
            log.error("run.json still says %r: %s", "running", error)
        finally:
            tracker.finish(ending.status)
            for number, handler in before.items():
                signal.signal(number, handler)


def _disk_error(error: BaseException, run: Run) -> ExpError | None:
    """The message for a disk that is full or cannot be written; None for every other error."""
    trouble = disk_trouble(error)
    if trouble is None:
        return None
    return ExpError(f"cannot write into {run.folder}: {trouble}. Make room, then go on with resume={run.folder}")


def _raise_on(*numbers: signal.Signals) -> dict[signal.Signals, Any]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():  # Python allows handlers nowhere else
        return {}
    return {number: signal.signal(number, stop) for number in numbers}
