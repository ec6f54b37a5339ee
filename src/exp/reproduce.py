"""exp reproduce outputs/2026-11-20/12-00-00

Runs a finished run again from its record, in a folder of its own, and says whether every number came out equal: each
event of metrics.jsonl (its time aside), the result (its cost aside) and the weights. Trackers and pushes stay off.
Ends with 0 where all is equal, with 1 where something differs, with 2 for bad input.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exp.config.grammar import quoted
from exp.errors import ExpError, nearest
from exp.options import arguments
from exp.options.arguments import Option
from exp.options.project import environment
from exp.options.trusted_code import warn_of_changes
from exp.run.differences import differences
from exp.run.environment import git, hardware, packages
from exp.run.events import Event, read_events
from exp.run.exits import plain_exits
from exp.run.folder import read_config, read_record
from exp.run.result import read_result
from exp.run.said import counted

DIFFERENT = 1
GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="RUN",
    least=1,
    most=1,
    key="run",
    options={"into": Option("where to run it; otherwise a new folder beside RUN", arguments.folder)},
)
RESULT = ("status", "stopped_early", "objective", "best", "last")  # of result.json; cost is never the same twice


def reproduce(source: Path, into: Path | None) -> int:
    """Raises ExpError for a folder that cannot be run again, before anything is written."""
    record = _checked(source)
    folder = _empty(into.absolute()) if into else _free(source)
    warn_of_changes(record)
    warned = differences(_light(record), _light({**_now(), "hardware": hardware()}))
    for line in warned:
        print(f"warning: {line}")
    print(f"running {record['id']} again in {folder}", flush=True)
    ended = subprocess.run(
        command(source, folder, record), cwd=_working_folder(record), env=_environment(record), check=False
    )
    if ended.returncode:
        if not (folder / "run.json").exists():  # refused before it began; its own message stands above
            raise ExpError(f"the run in {source} cannot be started again (exit code {ended.returncode}); see above")
        print(f"different: the run in {folder} ended with code {ended.returncode}, the recorded one was completed")
        return DIFFERENT
    again = read_record(folder)
    for line in differences({"hardware": record.get("hardware", {})}, {"hardware": again["hardware"]}):
        if line not in warned:
            print(f"warning: {line}")
    found = first_difference(source, folder)
    if found is None:
        count = len(read_events(source / "metrics.jsonl"))
        print(f"equal: {counted(count, 'event')}, the result and the weights came out the same, to the last bit")
        return 0
    print(f"different: {found}")
    if again["condition"] != record["condition"]:
        print("  the condition is another one: the contents of a data or model path have changed since")
    return DIFFERENT


def _checked(source: Path) -> Mapping[str, Any]:
    if not source.is_dir():
        beside = [item.name for item in source.parent.iterdir()] if source.parent.is_dir() else []
        raise ExpError(f"{source}: there is no such folder{nearest(source.name, beside) if beside else ''}")
    record = read_record(source)
    read_config(source)
    if record["status"] == "pruned":
        raise ExpError(
            f"{source} was pruned by its study ({record['reason']}), which decided by other runs; alone it would go on"
        )
    if record["status"] != "completed" or read_result(source / "result.json") is None:
        reason = f" ({record['reason']})" if record["reason"] else ""
        raise ExpError(f"{source} has no result to compare with: its status is {record['status']}{reason}")
    return record


def command(source: Path, folder: Path, record: Mapping[str, Any]) -> list[str]:
    """A training with the saved config, started as any other."""
    trackers = [f"~tracker.{name}" for name in record["config"].get("tracker", {})]
    # Sums over processes are part of the numbers.
    processes = record["config"].get("distributed", {}).get("processes", 1)
    together = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [
        *(sys.executable, *(together if processes > 1 else []), "-m", "exp.train"),
        f"repeat={quoted(source)}",
        f"hydra.run.dir={quoted(folder)}",
        *trackers,
        *(["hub.push=false"] if "hub" in record["config"] else []),
        *(["resume=null"] if record["config"].get("resume") is not None else []),
    ]


def first_difference(source: Path, folder: Path) -> str | None:
    """Where two runs part for the first time, in one line; None where they do not."""
    then, now = (read_events(one / "metrics.jsonl") for one in (source, folder))
    for old, new in zip(then, now, strict=False):
        if told := _event(old, new):
            return told
    if len(then) != len(now):
        return f"{len(then)} events then, {len(now)} now; the shorter list is the beginning of the longer"
    old_result, new_result = (read_result(one / "result.json") or {} for one in (source, folder))
    for key in RESULT:
        if old_result.get(key) != new_result.get(key):
            return f"result.json, {key}: {old_result.get(key)} then, {new_result.get(key)} now"
    return _weights(source, folder)


def _event(old: Event, new: Event) -> str | None:
    if (old.step, old.epoch) != (new.step, new.epoch):
        return f"an event of step {old.step} (epoch {old.epoch}) then, of step {new.step} (epoch {new.epoch}) now"
    for key in sorted({*old.metrics, *new.metrics}):
        if key not in old.metrics or key not in new.metrics:
            return f"step {old.step}: {key} was logged only {'then' if key in old.metrics else 'now'}"
        before, after = old.metrics[key], new.metrics[key]
        if before != after and not (before != before and after != after):  # NaN equals NaN here
            return f"first at step {old.step}: {key} was {before!r}, is {after!r} ({after - before:+.3g})"
    return None


def _weights(source: Path, folder: Path) -> str | None:
    sums = [_sums(one / "model") for one in (source, folder)]
    if not sums[0]:  # deleted to save space; the numbers were compared
        return None
    return None if sums[0] == sums[1] else "every number is equal, and the weights in model/ are not"


def _sums(model: Path) -> dict[str, str]:
    found = {}
    for file in sorted(model.rglob("*.safetensors")):
        with file.open("rb") as stream:
            found[str(file.relative_to(model))] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _empty(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExpError(f"into={folder} exists already and is never overwritten; choose another folder")
    return folder


def _free(source: Path) -> Path:
    """A new folder beside the run; the training claims it."""
    names = (f"{source.name}-reproduced{f'-{count}' if count else ''}" for count in itertools.count())
    return next(folder for name in names if not (folder := source.with_name(name)).exists())


def _working_folder(record: Mapping[str, Any]) -> str | None:
    """Relative paths in the config are meant from where the run was started."""
    return folder if (folder := record.get("cwd")) and Path(folder).is_dir() else None


def _environment(record: Mapping[str, Any]) -> dict[str, str]:
    """As many threads as then: sums are split among them, which changes their last bits.

    The record names the working folder: no module is looked for there, and what is trusted is what is trusted here.
    """
    threads = record.get("hardware", {}).get("threads")
    return {
        **os.environ,
        **environment(),
        "PYTHONSAFEPATH": "1",
        **({"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)} if threads else {}),
    }


def _now() -> dict[str, Any]:
    return {"git": git(Path(__file__).parent), "packages": packages()}


def _light(record: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only torch knows, which this process does not load: it is compared after the run."""
    seen = {key: value for key, value in record.get("hardware", {}).items() if key not in ("gpus", "threads")}
    return {"git": record.get("git"), "packages": record.get("packages", {}), "hardware": seen}


def main(argv: list[str] | None = None) -> None:
    with plain_exits():
        given = arguments.parse(sys.argv[1:] if argv is None else argv, GRAMMAR)
        code = reproduce(Path(given.bare[0]).resolve(), given["into"])
    raise SystemExit(code)


if __name__ == "__main__":
    main()
