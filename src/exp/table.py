"""python -m exp.table table=offline_demo

Runs what a paper's table misses and sets it beside the published numbers. Every word is explained in docs/tables.md.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

from exp.analysis.tables import load, plan, produce, views
from exp.errors import ExpError, nearest
from exp.run.exits import INTERRUPTED, plain_exits
from exp.work.settings import WorkSettings

USAGE = """python -m exp.table table=NAME [word=value ...]

  table=NAME             a file of conf/table/, or the path of a YAML of your own
  jobs=1                 worker processes, or jobs of a launcher (0: this process); the same command elsewhere joins in
  dry_run=true           say what would run and what it costs, and run nothing
  render_only=true       write the table of what is there
  cells='[ROW/*]'        only these cells (patterns of ROW/COLUMN)
  max_cells=N            run at most N missing cells now
  seeds='[1,2]'          instead of the table's
  overrides='[k=v]'      for all cells; overrides.NAME='[k=v]' for the row or column NAME
  retry_failed=true      run failed runs again
  view=stability         also stability, seeds (a grid of two seeds) or budget (expected best)
  config_dir=DIR         a folder of options and tables of your own, as --config-dir of exp.train
  folder=DIR             where runs and the table go (multirun/tables/NAME)
  hydra/launcher=NAME    run them as SLURM's jobs (slurm_gpu), Ray's tasks (ray_cluster) or joblib's processes
  hydra.launcher.KEY=V   what that launcher takes; hydra.sweeper.storage=postgresql://..., .retries, .stale_after and
                         the like are a sweep's (conf/hydra/sweeper/study.yaml)
  sources='[DIR]'        where finished runs are looked for ([outputs, multirun])
"""
# Word -> its type and its value where it is not given.
WORDS: dict[str, tuple[type, Any]] = {
    "table": (str, None),
    "jobs": (int, 1),
    "dry_run": (bool, False),
    "render_only": (bool, False),
    "cells": (list, []),
    "max_cells": (int, None),
    "seeds": (object, None),
    "overrides": (list, []),
    "retry_failed": (bool, False),
    "view": (str, None),
    "config_dir": (str, None),
    "folder": (str, None),
    "sources": (list, ["outputs", "multirun"]),
}


def main() -> int:
    with plain_exits():
        words = sys.argv[1:]
        if not words or words[0] in ("-h", "--help"):
            print(USAGE)
            for name in load.names():
                print(f"  {name:<16} {load.read_yaml(load.find(name))['title']}")
            return 0
        return make(*read(words))


def read(words: list[str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Options, and overrides by the name of a row or column ("" for all)."""
    import yaml

    options = {name: default for name, (_, default) in WORDS.items()}
    options["hydra"] = [word for word in words if word.lstrip("+").startswith("hydra")]
    added: dict[str, list[str]] = {}
    for word in words:
        if word in options["hydra"]:
            _check_hydra(word)
            continue
        name, equals, text = word.partition("=")
        if not equals or (name not in WORDS and not name.startswith("overrides.")):
            raise ExpError(f"{word}: no such word{nearest(name, WORDS)}")
        kind = list if name.startswith("overrides") else WORDS[name][0]
        # Overrides hold signs that YAML would read as its own: [a=b,c=[1,2]] is split at its top-level commas.
        value: Any = _split(text) if kind is list else text if kind is str else yaml.safe_load(text)
        if kind is not object and type(value) is not kind:
            raise ExpError(f"{word}: {name} takes {kind.__name__}, not {text!r}")
        if name.startswith("overrides"):
            added[name.partition(".")[2]] = value
        else:
            options[name] = value
    if options["table"] is None:
        raise ExpError(f"table=... is missing{nearest('', load.names(_config_dir(options)))}")
    if options["jobs"] < 0:
        raise ExpError(f"jobs={options['jobs']} must be 0 or more")
    if options["max_cells"] is not None and options["max_cells"] < 0:
        raise ExpError(f"max_cells={options['max_cells']} must be 0 or more")
    return options, added


def make(options: dict[str, Any], added: dict[str, list[str]]) -> int:
    extra = views.view(options["view"]) if options["view"] else None
    table = load.load(options["table"], options["seeds"], added, _config_dir(options))
    folder = Path(options["folder"] or f"multirun/tables/{table.name}")
    sources = [*(Path(source) for source in options["sources"]), folder]
    made = plan.make(table, sources, options["cells"], options["retry_failed"])
    print(produce.plan_summary(made), flush=True)
    stopped = not options["render_only"] and _run(made, folder.absolute(), options)
    if options["dry_run"]:
        return 0
    produce.write(made, folder, extra)
    if stopped:
        print("stopped; the same command goes on")
    return INTERRUPTED if stopped else 0


def _run(made: plan.TablePlan, folder: Path, options: dict[str, Any]) -> bool:
    """Runs what is missing, or says what would run. True if it was stopped before the end."""
    chosen = produce.chosen_runs(made, options["max_cells"])
    if any(job.state in ("missing", "waiting", "running") for job in chosen):
        # By name: what only plans and reads tables imports nothing of the training.
        runs = importlib.import_module("exp.training.table_runs")
        task = importlib.import_module("exp.train").train
        words = [*options["hydra"], f"hydra.sweeper.n_jobs={options['jobs']}"]
        with runs.table_jobs(words, folder, _config_dir(options), task) as jobs:
            settings = WorkSettings.of(jobs.master.hydra.sweeper)
            runs.check_configs(made, jobs)
            if not options["dry_run"]:
                return runs.run_missing(made, chosen, folder, options["retry_failed"], jobs, settings)
    if options["dry_run"]:
        produce.print_plan(chosen)
    return False


def _check_hydra(word: str) -> None:
    """Raises ExpError for settings of Hydra that say nothing about how a table's runs are started."""
    key = word.lstrip("+").partition("=")[0]
    if key == "hydra/launcher" or key.startswith("hydra.launcher."):
        return
    known = [f"hydra.sweeper.{field.name}" for field in dataclasses.fields(WorkSettings) if field.name != "n_jobs"]
    if key not in known:
        raise ExpError(f"{word}: a table takes hydra/launcher, hydra.launcher.* and {', '.join(known)}")


def _config_dir(options: dict[str, Any]) -> Path | None:
    return Path(options["config_dir"]) if options["config_dir"] else None


def _split(text: str) -> list[str]:
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(inner):
        depth += (sign in "[{(") - (sign in "]})")
        if sign == "," and depth == 0:
            parts.append(inner[start:at])
            start = at + 1
    parts.append(inner[start:])
    return [part.strip() for part in parts if part.strip()]


if __name__ == "__main__":
    raise SystemExit(main())
