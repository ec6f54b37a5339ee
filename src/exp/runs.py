"""exp runs COMMAND ...: looking after run folders.

  exp runs list [SOURCE ...]        all runs, newest first; sources as for exp compare (outputs and multirun)
  exp runs show RUN                 one run: how it went, its verdict, its config
  exp runs tail RUN                 follow a run's metrics until it ends
  exp runs find TEXT                runs by id, condition or part of their path
  exp runs remove RUN ...           delete run folders; asks first
  exp runs archive RUN ... to=FILE  put runs, or all runs below folders, into one .tar.gz
  exp runs restore FILE             unpack an archive
  exp runs sync [RUN ...]           upload offline W&B runs, several at a time (all of outputs and multirun)
  exp runs studies [FOLDER ...]     searches and tables, and how far they are (multirun)
  exp runs stop STUDY               end a search or table; its runs save, and the same command goes on with it

RUN is a folder, or the beginning of an id; exp runs COMMAND --help lists the options.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from exp.analysis import archive, run_list
from exp.analysis.filters import keep, plain
from exp.analysis.lookup import best_text, found_in, matches, one_run, several_runs
from exp.analysis.run_data import read_run
from exp.api import tables
from exp.api.callable_module import make_callable
from exp.errors import ExpError, nearest
from exp.options import arguments
from exp.options.arguments import Given, Grammar, Option
from exp.options.project import homes
from exp.run.exits import plain_exits
from exp.run.folder import read_record
from exp.run.said import counted, near


def main(argv: list[str] | None = None) -> int:
    """Ends the process with code 2 and one line on stderr for bad input."""
    words = sys.argv[1:] if argv is None else argv
    with plain_exits():
        if not words or words[0] in ("-h", "--help"):
            print((__doc__ or "").strip())
            return 0
        name, *rest = words
        if name not in COMMANDS:
            raise ExpError(f"{name}: no such command of exp runs{nearest(name, COMMANDS)}")
        call, grammar = COMMANDS[name]
        return call(arguments.parse(rest, grammar))


def list_runs(given: Given) -> int:
    found = found_in(given.bare)
    runs = sorted(keep(found.runs, given["where"]), key=lambda run: run.created or "", reverse=True)
    if given["paths"]:
        print("\n".join(run.source for run in runs))
        return 0
    run_list.show(runs)
    for problem in found.problems:
        print(f"not listed: {problem.source}: {problem.why}")
    return 0


def show(given: Given) -> int:
    from exp.curves.verdict import Thresholds

    run = one_run(given.bare[0], given["in"])
    print(f"{run.source}\nid {run.id}, condition {run.condition}, seed {run.seed}, group {run.group}")
    print(f"status {run.status}" + (f" ({run.reason})" if run.reason else ""))
    record = read_record(Path(run.source))
    print(f"created {run.created}, finished {run.finished or '-'}, code {run.code or 'unknown'}")
    print("command " + " ".join(record.get("command") or ["unknown"]))
    print("\nmetrics (best @step, last @step)")
    for key, best in run.best.items():
        last = run.last.get(key)
        print(f"  {key:32} {best.value:.4f} @{best.step}" + (f"   {last.value:.4f} @{last.step}" if last else ""))
    for key, value in run.cost.items():
        print(f"  {key:32} {plain(value)}")
    print("\n" + run.verdict(Thresholds()).text())
    print("\nconfig")
    for key, value in run.config.items():
        print(f"  {key} = {plain(value)}")
    return 0


def tail(given: Given) -> int:
    """Prints events as they come, until the run ends."""
    folder = Path(one_run(given.bare[0], given["in"]).source)
    path = folder / "metrics.jsonl"
    from exp.run.events import read_events

    seen = max(0, len(read_events(path)) - given["lines"])
    while True:
        run = read_run(folder)  # before the events: the last ones are written before the status
        events = read_events(path)
        for event in events[seen:]:
            told = "  ".join(f"{key} {value:.4g}" for key, value in event.metrics.items() if value is not None)
            print(f"step {event.step:>6}  epoch {event.epoch:.2f}  {event.time:8.1f} s  {told}", flush=True)
        seen = len(events)
        if run.status != "running" or given["once"]:
            print(f"{run.status}" + (f": {run.reason}" if run.reason else ""))
            return 0
        time.sleep(given["every"])


def find(given: Given) -> int:
    """Folders whose id or condition begins with the text, or whose path holds it."""
    found = [run for run in found_in(given["in"]).runs if matches(run, given.bare[0])]
    if not found:
        raise ExpError(f"no run has an id, condition or path with {given.bare[0]!r}")
    for run in found:
        print(f"{run.source}  {run.id}  condition {run.condition}  seed {run.seed}  {run.status}")
    return 0


def remove(given: Given) -> int:
    runs = several_runs(given.bare, given["in"])
    alive = [run for run in runs if run.status == "running"]
    if alive:
        raise ExpError(f"{alive[0].source} is still running (pid in its run.json); stop it first")
    for run in runs:
        print(f"{run.source}  {run.status}  {best_text(run)}  {archive.megabytes(Path(run.source)):.1f} MB")
    if given["dry_run"]:
        print(f"would remove {counted(len(runs), 'run')}")
        return 0
    if not given["yes"] and not _agreed(f"Remove {counted(len(runs), 'run')} for good?"):
        print("nothing was removed")
        return 1
    for run in runs:
        archive.remove(Path(run.source))
    print(f"removed {counted(len(runs), 'run')}")
    return 0


def pack(given: Given) -> int:
    to = given["to"]
    if to is None:
        raise ExpError("to=FILE is not given; it is the archive that is written")
    runs = several_runs(given.bare, given["in"], folders=True)
    archive.pack([Path(run.source) for run in runs], to, given["without"])
    print(f"wrote {counted(len(runs), 'run')} to {to} ({to.stat().st_size / 1e6:.1f} MB)")
    return 0


def restore(given: Given) -> int:
    for folder in archive.unpack(Path(given.bare[0]), given["to"] or homes()[0]):
        print(folder)
    return 0


def sync(given: Given) -> int:
    from exp.analysis import wandb_sync

    runs = several_runs(given.bare, given["in"], folders=True) if given.bare else found_in([]).runs
    ended = [Path(run.source) for run in runs if run.folder and run.status != "running"]
    if len(ended) < len(runs):
        print(f"left out: {counted(len(runs) - len(ended), 'run')} at work")
    if given["dry_run"]:
        for folder in wandb_sync.waiting(ended, given["again"], given["online"]):
            print(near(folder))
        return 0
    done = wandb_sync.sync(ended, given["parallel"], given["again"], given["online"])
    print("\n".join(wandb_sync.summary(done)))
    return 1 if done.failed else 0


def list_studies(given: Given) -> int:
    from exp.work import study_list
    from exp.work.studies import study_folders

    places = _homes(given.bare)
    if found := list(study_folders(places)):
        study_list.show(found)
    else:
        print(f"no search or table below {', '.join(map(near, places))}")
    return 0


def stop_study(given: Given) -> int:
    from exp.work.detached import living_coordinator, living_workers, stop
    from exp.work.storage import quiet_optuna
    from exp.work.studies import find, open_study

    with quiet_optuna():
        folder = find(given.bare[0], _homes(given["in"]))
        queue = open_study(folder, given["storage"])
        name = queue.study.study_name
        if not living_workers(queue) and living_coordinator(queue) is None:
            raise ExpError(f"nothing of the study {name} runs")
        if not stop(queue, given["seconds"]):
            raise ExpError(
                f"study {name} was asked to stop, and something of it still runs; look with exp runs studies"
            )
    print(f"stopped {name}; the same command goes on with it")
    return 0


def _homes(named: list[str]) -> list[Path]:
    if absent := next((name for name in named if not Path(name).is_dir()), None):
        raise ExpError(f"{absent}: there is no such folder")
    return [Path(name) for name in named] or [homes()[1]]


def _agreed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


HOME = "a folder to look in (outputs and multirun); may be given several times"
IN = {"in": Option(HOME, arguments.there, many=True)}
COMMANDS: dict[str, tuple[Callable[[Given], int], Grammar]] = {
    "list": (
        list_runs,
        Grammar(
            "exp runs list [SOURCE ...]: all runs, newest first",
            {
                "where": Option("only these runs: status=failed; may be given several times", many=True),
                "paths": Option("true: only the folders, for a pipe", arguments.switch, False),
            },
            bare="SOURCE",
        ),
    ),
    "show": (show, Grammar("exp runs show RUN: how it went, its verdict, its config", IN, "RUN", 1, 1, "run")),
    "tail": (
        tail,
        Grammar(
            "exp runs tail RUN: follows a run's metrics until it ends",
            {
                "lines": Option("past events shown first (10)", arguments.whole(0), 10),
                "every": Option("seconds between looks (1)", arguments.seconds, 1.0),
                "once": Option("true: do not wait for more", arguments.switch, False),
                **IN,
            },
            *("RUN", 1, 1, "run"),
        ),
    ),
    "find": (find, Grammar("exp runs find TEXT: runs by id, condition or part of their path", IN, "TEXT", 1, 1)),
    "remove": (
        remove,
        Grammar(
            "exp runs remove RUN ...: deletes run folders; asks first",
            {
                "dry_run": Option("true: only say what would go", arguments.switch, False),
                "yes": Option("true: do not ask", arguments.switch, False),
                **IN,
            },
            *("RUN", 1, None, "run"),
        ),
    ),
    "archive": (
        pack,
        Grammar(
            "exp runs archive RUN ... to=FILE: run folders, or folders above runs, in one .tar.gz",
            {
                "to": Option("the file", arguments.file),
                "without": Option(
                    "leave out checkpoints, model, predictions or wandb; may be given several times",
                    arguments.one_of(*archive.LARGE),
                    many=True,
                ),
                **IN,
            },
            *("RUN", 1, None, "run"),
        ),
    ),
    "restore": (
        restore,
        Grammar(
            "exp runs restore FILE: unpacks an archive",
            {"to": Option("the folder it is unpacked in (outputs)", arguments.folder)},
            *("FILE", 1, 1),
        ),
    ),
    "sync": (
        sync,
        Grammar(
            "exp runs sync [RUN ...]: uploads the offline W&B logs of runs, or of all runs below folders",
            {
                "parallel": Option("runs uploaded at a time (5)", arguments.whole(1, 100), 5),
                "again": Option("true: also what was uploaded before", arguments.switch, False),
                "online": Option(
                    "true: also online runs, whose last numbers a server that was away lacks", arguments.switch, False
                ),
                "dry_run": Option("true: only name the runs that would be uploaded", arguments.switch, False),
                **IN,
            },
            *("RUN", 0, None, "run"),
        ),
    ),
    "studies": (
        list_studies,
        Grammar("exp runs studies [FOLDER ...]: searches and tables below multirun, or FOLDER", bare="FOLDER"),
    ),
    "stop": (
        stop_study,
        Grammar(
            "exp runs stop STUDY: ends a search or table; its runs save first",
            {
                "seconds": Option("how long to wait for its runs to save (60)", arguments.seconds, 60.0),
                "storage": Option("where it is kept, if its address holds a password"),
                **IN,
            },
            *("STUDY", 1, 1),
        ),
    ),
}


from_python = tables.runs
make_callable(__name__)

if __name__ == "__main__":
    raise SystemExit(main())
