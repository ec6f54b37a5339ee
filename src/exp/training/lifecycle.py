"""Around a run: its record tells the truth however the run ends."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from exp.config.compose import composed_from, composed_of, in_study
from exp.config.grammar import word
from exp.distributed.shared_failure import failures_shared, log_name
from exp.errors import ExpError
from exp.options.trusted_code import record_packages, warn_of_changes
from exp.run import ranks
from exp.run.files import disk_trouble
from exp.run.folder import Run, create, read_record, step_of
from exp.run.interrupts import Interrupted
from exp.run.lock import locked
from exp.run.logs import TO_FILE_ONLY, logged_to
from exp.run.said import command, near
from exp.training import resume

if TYPE_CHECKING:
    from exp.tracker.base import Tracker

log = logging.getLogger(__name__)


@dataclass
class Ending:
    """What the body says of how it went; until it is settled, an exception overrules it."""

    status: str = "completed"
    reason: str | None = None
    settled: bool = False  # the result is written: nothing that follows changes the status
    over: bool = False  # signals end nothing any more

    def settle(self, status: str, reason: str | None, write: Callable[[], None]) -> None:
        """`write` leaves the result on disk; a signal comes before it or after it, never in between."""
        self.over = True
        write()
        self.status, self.reason, self.settled = status, reason, True


def open_run(folder: Path, config: Mapping[str, Any], study: str | None = None) -> Run:
    """A new run in a claimed folder; or the one that lies there, its metrics cut back to a checkpoint."""
    if not (folder / "run.json").exists():
        run = create(folder, config, study or group_of(config))
        run.update(search_path=composed_from(), trusted=record_packages(), **composed_of())
        return run
    warn_of_changes(read_record(folder))
    return resume.go_on(folder, config)


def group_of(config: Mapping[str, Any]) -> str | None:
    """As the trackers have it."""
    named = (tracker.get("group") for tracker in config["tracker"].values() if isinstance(tracker, Mapping))
    return next((group for group in named if group), None)


@contextmanager
def opened(folder: Path, config: Mapping[str, Any], study: str | None = None) -> Iterator[Run]:
    """The run in `folder`, locked and logged. One process keeps its record; the others have a log of their own.

    `study` is the study or table that the run belongs to.

    Raises ExpError where the folder cannot be written.
    """
    together = ranks.current.get()
    rank = together.place.rank
    with ExitStack() as stack:
        try:
            if together.place.first:
                stack.enter_context(locked(folder))
                stack.enter_context(logged_to(folder / log_name(rank)))
                run = open_run(folder, config, study)
                together.decide("run", lambda: [run.id, run.condition])
            else:
                folder.mkdir(parents=True, exist_ok=True)  # perhaps on another host
                stack.enter_context(logged_to(folder / log_name(rank), screen=False))
                identity, condition = together.decide("run", list)
                run = Run(folder, identity, condition, config["seed"], config, kept=False)
        except OSError as error:
            if disk_trouble(error) is None:
                raise
            raise resume.cannot_write(folder, error) from error
        try:
            yield run
        except BaseException as error:
            with suppress(OSError, ExpError):  # what `recorded` has not seen: a tracker that cannot be made
                if run.kept and read_record(folder)["status"] == "running":
                    run.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", str(error))
            raise


@contextmanager
def recorded(run: Run, tracker: Tracker) -> Iterator[Ending]:
    """Starts the tracker; at the end writes the status and finishes the tracker, whatever happened.

    SIGTERM, SIGUSR1, SIGUSR2 and SIGINT end the body by an exception, once; while a loop runs, its session takes them
    and saves first. After `Ending.settle` they end nothing any more.
    """
    ending = Ending()
    before = _raise_once(ending)
    try:
        try:
            tracker.start(run)
            with failures_shared(run, tracker):
                yield ending
        except BaseException as error:
            if ending.settled:
                _told_of_late(error)
                return
            told = _note(ending, error, run)
            if told is not None and told is not error:
                raise told from error
            raise
        finally:
            ending.over = True
    finally:
        ending.over = True  # also where a signal came in between
        try:
            run.finish(ending.status, ending.reason)
        except OSError as error:
            log.error("run.json still says %r: %s", "running", error)
        finally:
            if signal.SIGINT in before:  # an upload that hangs can be left
                signal.signal(signal.SIGINT, before.pop(signal.SIGINT))
            try:
                tracker.finish(ending.status)
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)


@contextmanager
def afterwards(run: Run, what: str) -> Iterator[None]:
    """Around what follows a complete run: it can add a warning to the record, and never fail the run."""
    try:
        yield
    except Exception as error:
        text = f"{what}: {' '.join(str(error).split()) or type(error).__name__}"
        log.warning("the run is complete, without %s", text)
        log.info("%s failed", what, exc_info=True, extra=TO_FILE_ONLY)
        with suppress(OSError, ExpError):
            run.update(warnings=[*read_record(run.folder).get("warnings", []), text])


def _note(ending: Ending, error: BaseException, run: Run) -> ExpError | None:
    """Writes down why the body ended; the message for bad input and full disks, None for every other error."""
    if isinstance(error, Interrupted | KeyboardInterrupt):
        ending.status, ending.reason = "interrupted", getattr(error, "reason", "SIGINT")
        if run.kept and not in_study():  # a study's trial goes on with its study
            log.info("%s", _told_of_interruption(run, ending.reason))
        return None
    told = error if isinstance(error, ExpError) else _disk_error(error, run)
    ending.status = "failed"
    ending.reason = str(told) if told else f"{type(error).__name__}: {error}"
    if not told:  # Python shows it on the screen
        log.error("the run failed", exc_info=error, extra=TO_FILE_ONLY)
    return told


def _told_of_interruption(run: Run, reason: str | None) -> str:
    """Where the run was saved, and how it goes on."""
    steps = [step for path in run.checkpoints.glob("step-*") if (step := step_of(path)) is not None]
    saved = f"interrupted ({reason}); saved at step {max(steps)}" if steps else f"interrupted ({reason}); nothing saved"
    if not steps:
        return f"{saved} yet; start it again with the same command"
    return f"{saved}; go on with: {command('train', word('resume', near(run.folder)))}"


def _told_of_late(error: BaseException) -> None:
    log.warning("the run is complete; what followed it was cut short (%s)", type(error).__name__)


def _disk_error(error: BaseException, run: Run) -> ExpError | None:
    """The message for a disk that is full or cannot be written; None for every other error."""
    trouble = disk_trouble(error)
    if trouble is None:
        return None
    again = command("train", word("resume", near(run.folder)))
    return ExpError(f"cannot write into {run.folder}: {trouble}. Make room, then go on with: {again}")


def _raise_once(ending: Ending) -> dict[signal.Signals, Any]:
    """Installs handlers; returns those before. A second signal must not hinder the writing that the first one began."""

    def stop(number: int, frame: FrameType | None) -> None:
        if ending.settled or ending.over:
            return
        ending.over = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Interrupted(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():  # Python allows handlers nowhere else
        return {}
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
    return {number: signal.signal(number, stop) for number in numbers}
