"""python -m exp.runs list | show RUN | tail RUN | find TEXT | remove RUN... | archive RUN... --to FILE | restore"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

from exp.analysis import archive
from exp.analysis.collect import collect
from exp.analysis.collection import Collection
from exp.analysis.filters import keep, plain
from exp.analysis.grouping import differing_keys, distinguishing_keys, shown_value
from exp.analysis.run_data import RunData, read_run
from exp.analysis.table import SHORT_HASH, short_keys
from exp.errors import ExpError
from exp.run.exits import shortened, words
from exp.run.folder import read_record

MOST_COMPARED = 300  # conditions: finding out what tells them apart takes time in proportion to their square
MOST_TOLD = 5  # options of a run in one line of the list
HOMES = ("outputs", "multirun")  # where conf/train.yaml puts runs


def main(arguments: list[str] | None = None) -> int:
    """0, or 2 with one line on stderr for bad input."""
    try:
        options = _parser().parse_args(words(arguments))
        for home in getattr(options, "home", ()):
            if not Path(home).is_dir():
                raise ExpError(f"--in {home}: there is no such folder")
        return options.call(options)
    except ExpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename is None:
            raise
        print(f"error: {shortened(str(error.filename))}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def list_runs(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    found = _found(options.sources)
    runs = sorted(keep(found.runs, options.where), key=lambda run: run.created or "", reverse=True)
    if options.paths:
        print("\n".join(run.source for run in runs))
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("created", "id", "condition", "seed", "task", "what differs", "status", "best", "folder"):
        folds = title in ("folder", "what differs")
        table.add_column(title, overflow="fold" if folds else "ellipsis", no_wrap=not folds)
    for run, what in zip(runs, _what_differs(runs), strict=True):
        cells = (run.id, run.condition[:SHORT_HASH], str(run.seed), run.task, what, run.status, _best(run))
        table.add_row(_minute(run.created), *map(escape, (*cells, _near(run.source))))
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
    for problem in found.problems:
        print(f"not listed: {problem.source}: {problem.why}")
    return 0


def _what_differs(runs: list[RunData]) -> list[str]:
    """Of each run the few options that tell its condition from the others here."""
    configs = {run.condition: run for run in runs}
    if not 2 <= len(configs) <= MOST_COMPARED:
        return [""] * len(runs)
    keys = differing_keys(configs.values())
    varies = {name: {key: run.config.get(key) for key in keys} for name, run in configs.items()}
    told = distinguishing_keys(keys, list(varies.values()))[:MOST_TOLD]
    titles = short_keys(told)
    texts = {
        name: " ".join(
            f"{titles[key]}={plain(shown_value(key, values[key]))}" for key in told if values[key] is not None
        )
        for name, values in varies.items()
    }
    return [texts[run.condition] for run in runs]


def show(options: argparse.Namespace) -> int:
    from exp.curves.verdict import Thresholds

    run = _one(options.run, options.home)
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


def tail(options: argparse.Namespace) -> int:
    """Prints events as they come, until the run ends."""
    folder = Path(_one(options.run, options.home).source)
    path = folder / "metrics.jsonl"
    from exp.run.events import read_events

    seen = max(0, len(read_events(path)) - options.lines)
    while True:
        run = read_run(folder)  # before the events: the last ones are written before the status
        events = read_events(path)
        for event in events[seen:]:
            told = "  ".join(f"{key} {value:.4g}" for key, value in event.metrics.items() if value is not None)
            print(f"step {event.step:>6}  epoch {event.epoch:.2f}  {event.time:8.1f} s  {told}", flush=True)
        seen = len(events)
        if run.status != "running" or options.once:
            print(f"{run.status}" + (f": {run.reason}" if run.reason else ""))
            return 0
        time.sleep(options.every)


def find(options: argparse.Namespace) -> int:
    """Folders whose id or condition begins with the text, or whose path holds it."""
    matches = [run for run in _found(options.home).runs if _matches(run, options.text)]
    if not matches:
        raise ExpError(f"no run has an id, condition or path with {options.text!r}")
    for run in matches:
        print(f"{run.source}  {run.id}  condition {run.condition}  seed {run.seed}  {run.status}")
    return 0


def remove(options: argparse.Namespace) -> int:
    runs = [_one(name, options.home) for name in options.runs]
    alive = [run for run in runs if run.status == "running"]
    if alive:
        raise ExpError(f"{alive[0].source} is still running (pid in its run.json); stop it first")
    for run in runs:
        print(f"{run.source}  {run.status}  {_best(run)}  {archive.megabytes(Path(run.source)):.1f} MB")
    if options.dry_run:
        print(f"would remove {len(runs)} run(s)")
        return 0
    if not options.yes and not _agreed(f"Remove {len(runs)} run(s) for good?"):
        print("nothing was removed")
        return 1
    for run in runs:
        archive.remove(Path(run.source))
    print(f"removed {len(runs)} run(s)")
    return 0


def pack(options: argparse.Namespace) -> int:
    runs = [run for name in options.runs for run in _several(name, options.home)]
    archive.pack([Path(run.source) for run in runs], options.to, options.without)
    print(f"wrote {len(runs)} run(s) to {options.to} ({options.to.stat().st_size / 1e6:.1f} MB)")
    return 0


def restore(options: argparse.Namespace) -> int:
    for folder in archive.unpack(options.file, options.to):
        print(folder)
    return 0


def _agreed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _found(sources: list[str]) -> Collection:
    homes = sources or [home for home in HOMES if Path(home).is_dir()]
    if not homes:
        raise ExpError(f"there is no {' or '.join(HOMES)} here; name a folder")
    return collect(homes)


def _one(name: str, home: list[str]) -> RunData:
    """A run folder, or the run whose id or condition begins with `name`."""
    if (Path(name) / "run.json").exists():
        return read_run(Path(name).resolve())
    if Path(name).is_dir():
        raise ExpError(f"{name} is no run folder: it holds no run.json")
    matches = [run for run in _found(home).runs if run.folder and _matches(run, name)]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise ExpError(f"no run folder and no id or condition {name!r}; python -m exp.runs list shows what there is")
    raise ExpError(f"{name!r} fits {len(matches)} runs: " + ", ".join(run.source for run in matches[:8]))


def _several(name: str, home: list[str]) -> list[RunData]:
    """All runs below a folder, or the one that is named."""
    path = Path(name)
    if path.is_dir() and not (path / "run.json").exists():
        return [run for run in collect([name]).runs if run.folder]
    return [_one(name, home)]


def _matches(run: RunData, text: str) -> bool:
    return run.id.startswith(text) or run.condition.startswith(text) or text in run.source


def _best(run: RunData) -> str:
    if run.objective and run.objective in run.best:
        point = run.best[run.objective]
        return f"{run.objective} {point.value:.4f} @{point.step}"
    return "-"


def _minute(moment: str | None) -> str:
    return (moment or "-")[:16].replace("T", " ")


def _near(source: str) -> str:
    path = Path(source)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else source


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no number of lines; it takes 0 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.01 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is no time to wait; it takes seconds from 0.01 to a day")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exp.runs", description="Looks after run folders.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, call: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=what, description=what)
        made.set_defaults(call=call)
        return made

    def home(made: argparse.ArgumentParser) -> None:
        made.add_argument("--in", dest="home", action="append", default=[], metavar="FOLDER", help="where to look")

    made = command("list", list_runs, "all runs, newest first")
    made.add_argument("sources", nargs="*", metavar="SOURCE", help="as for exp.compare (default: outputs, multirun)")
    made.add_argument("--where", action="append", default=[], metavar="FILTER", help="'status=failed'; repeatable")
    made.add_argument("--paths", action="store_true", help="only the folders, for a pipe")
    made = command("show", show, "one run: how it went, its verdict, its config")
    made.add_argument("run", metavar="RUN", help="a folder, or the beginning of an id")
    home(made)
    made = command("tail", tail, "follow a run's metrics until it ends")
    made.add_argument("run", metavar="RUN")
    made.add_argument("--lines", type=_count, default=10, help="past events shown first (default 10)")
    made.add_argument("--every", type=_seconds, default=1.0, help="seconds between looks (default 1)")
    made.add_argument("--once", action="store_true", help="do not wait for more")
    home(made)
    made = command("find", find, "runs by id, condition or part of their path")
    made.add_argument("text")
    home(made)
    made = command("remove", remove, "delete run folders; asks first")
    made.add_argument("runs", nargs="+", metavar="RUN")
    made.add_argument("--dry-run", action="store_true", help="only say what would go")
    made.add_argument("--yes", action="store_true", help="do not ask")
    home(made)
    made = command("archive", pack, "put runs into one .tar.gz")
    made.add_argument("runs", nargs="+", metavar="RUN", help="run folders, or folders above runs")
    made.add_argument("--to", type=Path, required=True, metavar="FILE")
    made.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="leave out: checkpoints, model; repeatable"
    )
    home(made)
    made = command("restore", restore, "unpack an archive")
    made.add_argument("file", type=Path)
    made.add_argument("--to", type=Path, default=Path("outputs"), metavar="FOLDER")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
