"""Uploading the offline W&B logs of many runs, by `wandb sync`."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exp.errors import ExpError
from exp.run.said import counted, near

AT_ONCE = 50  # runs a call of `wandb sync`: so often is told how far it is, and W&B's client takes 2 s to start
PATIENCE = 10  # seconds for the server to answer at all; `wandb sync` itself waits for ever


@dataclass
class Synced:
    """Run folders, by what became of them."""

    uploaded: list[Path] = field(default_factory=list)
    before: list[Path] = field(default_factory=list)  # had been uploaded already
    without: list[Path] = field(default_factory=list)  # hold nothing to upload
    failed: list[Path] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # in W&B's words, which name no run


def sync(runs: Sequence[Path], parallel: int, again: bool, online: bool, told: Callable[[str], None] = print) -> Synced:
    """Uploads what has not been uploaded. The folders of a run that went on are sent one after the other.

    Args:
        runs: run folders; none of a run that is still running.
        parallel: how many runs are uploaded at a time.
        again: also what was uploaded before.
        online: also the logs of online runs, whose last numbers a server that was away lacks.
        told: gets a line after every `AT_ONCE` runs.

    Raises:
        ExpError: there is no key, or the server does not answer.
    """
    found = Synced()
    due: dict[Path, list[Path]] = {}
    for run in runs:
        logs = _logs(run, online)
        waiting = [log for log in logs if again or not _marker(log).exists()]
        if waiting:
            due[run] = waiting
        else:
            (found.before if logs else found.without).append(run)
    if due:
        _check_server()
    done = 0
    for some in _portions(list(due), AT_ONCE):
        logs = [log for run in some for log in due[run]]
        errors = _wandb_sync(logs, parallel, again, online)
        found.errors += [error for error in errors if error not in found.errors]
        for run in some:
            arrived = all(_marker(log).exists() for log in due[run])
            (found.uploaded if arrived else found.failed).append(run)
        done += len(some)
        if done < len(due):
            told(f"{done} of {counted(len(due), 'run')}")
    return found


def waiting(runs: Sequence[Path], again: bool, online: bool) -> list[Path]:
    """The runs that `sync` would upload."""
    return [run for run in runs if any(again or not _marker(log).exists() for log in _logs(run, online))]


def summary(found: Synced) -> list[str]:
    """One line, then the runs that failed and what W&B said."""
    told = [f"uploaded {counted(len(found.uploaded), 'run')}"]
    told += [f"{len(found.before)} had been uploaded before"] if found.before else []
    told += [f"{len(found.without)} without an offline log"] if found.without else []
    told += [f"{len(found.failed)} failed"] if found.failed else []
    return [", ".join(told), *(f"not uploaded: {near(run)}" for run in found.failed), *found.errors]


def _logs(run: Path, online: bool) -> list[Path]:
    folders = [*run.glob("wandb/offline-run-*"), *(run.glob("wandb/run-*") if online else ())]
    return sorted(log for folder in folders for log in folder.glob("*.wandb"))


def _marker(log: Path) -> Path:
    """What `wandb sync` writes beside a log that the server has."""
    return log.with_name(f"{log.name}.synced")


def _portions(runs: list[Path], size: int) -> Iterator[list[Path]]:
    for start in range(0, len(runs), size):
        yield runs[start : start + size]


def _check_server() -> None:
    import wandb

    from exp.compat.wandb import has_key

    address = wandb.setup(settings=wandb.Settings(silent=True)).settings.base_url
    try:
        known = has_key(address)
    except wandb.errors.AuthenticationError as error:
        raise ExpError(f"the W&B key is not valid ({error})") from None
    if not known:
        raise ExpError("no W&B key found; set WANDB_API_KEY or run `wandb login`")
    try:
        urllib.request.urlopen(address, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        pass  # it answers
    except OSError as error:
        raise ExpError(f"W&B at {address} does not answer ({getattr(error, 'reason', error)}); try later") from None


def _wandb_sync(logs: list[Path], parallel: int, again: bool, online: bool) -> list[str]:
    """Its errors. Its exit code is 0 whatever happened: the markers tell what arrived."""
    words = [sys.executable, "-m", "wandb", "sync", "-n", str(parallel)]
    words += ["--include-synced"] if again else []
    words += ["--include-online"] if online else []
    if again:
        for log in logs:
            _marker(log).unlink(missing_ok=True)
    done = subprocess.run([*words, *map(str, logs)], capture_output=True, text=True, check=False)
    lines = [line.removeprefix("wandb: ").strip() for line in done.stderr.splitlines()]
    errors = [f"W&B: {line.removeprefix('ERROR').strip()}" for line in lines if line.startswith("ERROR ")]
    return [*errors, *([] if done.returncode == 0 else lines[-1:])]
