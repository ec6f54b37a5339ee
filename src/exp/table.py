"""exp table NAME: runs what a paper's table misses and sets it beside the published numbers (docs/tables.md).

  exp table offline_demo jobs=2
  exp table hf_glue dry_run=true

NAME is a file of conf/table/, or the path of a YAML of your own. The same command elsewhere joins in.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

from exp.analysis.tables import load, plan, produce, publish, views
from exp.analysis.tables.results import results
from exp.analysis.tables.schema import OVERS
from exp.errors import ExpError, nearest
from exp.options import arguments
from exp.options.arguments import Option
from exp.options.project import homes
from exp.run.exits import INTERRUPTED, plain_exits
from exp.run.said import counted, near
from exp.work.settings import WorkSettings


def _seeds(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        raise ValueError("a list of numbers, such as [1,2]") from None


PROCESSES = "hydra.sweeper.processes_per_trial"
GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="TABLE",
    most=1,
    key="table",
    options={
        "jobs": Option("worker processes, or jobs of a launcher (1); 0: in this process", arguments.whole(0), 1),
        "dry_run": Option("true: say what would run and what it costs, and run nothing", arguments.switch, False),
        "render_only": Option("true: write the table of what is there", arguments.switch, False),
        "cells": Option("only these cells: '[ROW/*]', patterns of ROW/COLUMN", arguments.listed, []),
        "max_cells": Option("run at most so many missing cells now", arguments.whole(0)),
        "seeds": Option("instead of the table's: '[1,2]'", _seeds),
        "overrides": Option("for all cells: '[k=v]'", arguments.listed, []),
        "overrides.": Option("overrides.NAME='[k=v]': for the row or column NAME", arguments.listed, []),
        "retry_failed": Option("true: run failed runs again", arguments.switch, False),
        "over": Option("what verdicts are over: seeds, examples or both (the table's)", arguments.one_of(*OVERS)),
        "bold": Option("true: the best of each column in bold, in table.md and table.tex", arguments.switch, False),
        "view": Option("also stability, seeds (a grid of two seeds) or budget (expected best)"),
        "config_dir": Option(
            "a folder of options and tables of your own, as --config-dir of exp train", arguments.folder
        ),
        "folder": Option("where runs and the table go (multirun/tables/NAME)", arguments.folder),
        "sources": Option("where finished runs are looked for: '[outputs,multirun]'", arguments.listed),
        "publish": Option(
            "a folder for the Hub's files of each row: card, .eval_results, results.json", arguments.folder
        ),
        "repo_id": Option("with publish: owner/name on the Hub they are pushed to; of several rows owner/name-ROW"),
        "private": Option("with repo_id, true (the default) or false: who sees what is made", arguments.switch, True),
        "detach": Option(
            "true: leave it to the background once the jobs are with the launcher", arguments.switch, False
        ),
        "hydra/launcher": Option("slurm_gpu, slurm_cpu, ray_cluster, joblib: where the workers run (here)"),
        "hydra.launcher.": Option("hydra.launcher.partition=gpu: what that launcher takes"),
        PROCESSES: Option("processes that train each run (as of a sweep)", arguments.whole(1)),
        "hydra.sweeper.": Option("hydra.sweeper.storage=postgresql://...: how the work is kept, as of a sweep"),
    },
)


def main() -> int:
    with plain_exits():
        words = sys.argv[1:]
        if not words or {"-h", "--help"} & set(words):
            print(arguments.usage(GRAMMAR))
            print("\ntables:\n")
            for name in load.names():
                print(f"  {name:<16} {load.title(name)}")
            return 0
        return make(*read(words))


def read(words: list[str]) -> tuple[arguments.Given, dict[str, list[str]]]:
    """Options, and overrides by the name of a row or column ("" for all)."""
    given = arguments.parse(words, GRAMMAR)
    if not given.bare:
        raise ExpError(f"TABLE is not given{nearest('', load.names(given['config_dir']))}")
    added = {key.partition(".")[2]: value for key, value in given.items() if key.startswith("overrides")}
    return given, added


def make(given: arguments.Given, added: dict[str, list[str]]) -> int:
    extra = views.view(given["view"]) if given["view"] else None
    _check_target(given)
    if (processes := given[PROCESSES]) is not None and processes > 1:
        added[""] = [f"distributed.processes={processes}", *added.get("", [])]  # it multiplies the batch
    table = load.load(given.bare[0], given["seeds"], added, given["config_dir"], given["over"])
    folder = given["folder"] or homes()[1] / "tables" / table.name
    sources = [*(map(Path, given["sources"]) if given["sources"] else homes()), folder]
    made = plan.make(table, sources, given["cells"], given["retry_failed"])
    print(produce.plan_summary(made), flush=True)
    stopped = not given["render_only"] and _run(made, folder.absolute(), given)
    if given["dry_run"]:
        return 0
    produce.write(made, folder, extra, given["bold"])
    if given["publish"]:
        _publish(made, given)
    if stopped:
        print("stopped; the same command goes on")
    return INTERRUPTED if stopped else 0


def _check_target(given: arguments.Given) -> None:
    """Raises ExpError for a push that cannot work, before anything is run."""
    if given["repo_id"] is None:
        return
    if given["publish"] is None:
        raise ExpError(f"repo_id={given['repo_id']} pushes what publish=FOLDER writes, which is not given")
    importlib.import_module("exp.saved.hub").check_target(given["repo_id"])


def _publish(made: plan.TablePlan, given: arguments.Given) -> None:
    """The Hub's files of each row that has a number, and the push, where that was asked."""
    folders = publish.write(made.table, results(made), given["publish"])
    print(f"wrote the Hub's files of {counted(len(folders), 'row')} below {near(given['publish'])}")
    if given["repo_id"] is not None:
        hub = importlib.import_module("exp.saved.hub")  # its room knows of models, which this one does not import
        for folder in folders:
            name = given["repo_id"] if len(made.table.rows) == 1 else f"{given['repo_id']}-{folder.name}"
            print(f"pushed to {hub.upload_results(folder, name, given['private'])}")


def _run(made: plan.TablePlan, folder: Path, given: arguments.Given) -> bool:
    """Runs what is missing, or says what would run. True if it was stopped before the end."""
    chosen = produce.chosen_runs(made, given["max_cells"])
    if any(job.state in ("missing", "waiting", "running") for job in chosen):
        # By name: what only plans and reads tables imports nothing of the training.
        runs = importlib.import_module("exp.training.table_runs")
        task = importlib.import_module("exp.train").train
        words = [*_hydra_words(given), f"hydra.sweeper.n_jobs={given['jobs']}"]
        words.append(f"hydra.sweeper.detach={str(given['detach']).lower()}")
        with runs.table_jobs(words, folder, given["config_dir"], task) as jobs:
            runs.check_configs(made, jobs)
            if not given["dry_run"]:
                return runs.run_missing(made, chosen, folder, given["retry_failed"], jobs)
    if given["dry_run"]:
        produce.print_plan(made, chosen)
    return False


def _hydra_words(given: arguments.Given) -> list[str]:
    """Raises ExpError for a key of the sweeper that says nothing about how a table's runs are worked on."""
    known = [field.name for field in dataclasses.fields(WorkSettings) if field.name not in ("n_jobs", "detach")]
    for key in given:
        name = key.removeprefix("hydra.sweeper.")
        if name != key and name not in known:
            raise ExpError(f"{key}: of a sweep's keys a table takes {', '.join(known)}{nearest(name, known)}")
    return [f"{key}={value}" for key, value in given.items() if key.startswith("hydra")]


if __name__ == "__main__":
    raise SystemExit(main())
