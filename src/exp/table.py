"""python -m exp.table table=offline_demo

Runs what a paper's table misses and sets it beside the published numbers. Every word is explained in docs/tables.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exp.analysis.tables import load, plan, produce, views
from exp.errors import ExpError, nearest
from exp.run import exits
from exp.run.exits import INTERRUPTED, plain_exits

USAGE = """python -m exp.table table=NAME [word=value ...]

  table=NAME             a file of conf/table/, or the path of a YAML of your own
  jobs=1                 worker processes on this machine; the same command elsewhere joins in
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
        words = exits.words()
        if not words or words[0] in ("-h", "--help"):
            print(USAGE)
            for name in load.names():
                print(f"  {name:<16} {load.read_yaml(load.find(name))['title']}")
            return 0
        return make(*read(words))


def read(words: list[str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Options, and overrides by the name of a row or column ("" for all)."""
    options = {name: default for name, (_, default) in WORDS.items()}
    added: dict[str, list[str]] = {}
    given: set[str] = set()
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or (name not in WORDS and not name.startswith("overrides.")):
            raise ExpError(f"{word}: no such word{nearest(name, WORDS)}")
        kind = list if name.startswith("overrides") else WORDS[name][0]
        # Overrides hold signs that YAML would read as its own: [a=b,c=[1,2]] is split at its top-level commas.
        value: Any = _split(text) if kind is list else text if kind is str else _value(word, text)
        if not text:
            raise ExpError(f"{word} is empty; leave it out, or give it a value")
        if name in given:
            raise ExpError(f"{name} is given twice; keep one")
        given.add(name)
        if kind is not object and type(value) is not kind:
            raise ExpError(f"{word}: {name} takes {kind.__name__}, not {text!r}")
        if name.startswith("overrides"):
            added[name.partition(".")[2]] = value
        else:
            options[name] = value
    if options["table"] is None:
        raise ExpError(f"table=... is missing{nearest('', load.names(_config_dir(options)))}")
    if options["jobs"] < 1:
        raise ExpError(f"jobs={options['jobs']} must be 1 or more")
    if options["max_cells"] is not None and options["max_cells"] < 0:
        raise ExpError(f"max_cells={options['max_cells']} must be 0 or more")
    return options, added


def _value(word: str, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        raise ExpError(f"{word}: {text!r} cannot be read; quote it for the shell, e.g. seeds='[1,2]'") from None


def make(options: dict[str, Any], added: dict[str, list[str]]) -> int:
    extra = views.view(options["view"]) if options["view"] else None
    table = load.load(options["table"], options["seeds"], added, _config_dir(options))
    folder = Path(options["folder"] or f"multirun/tables/{table.name}")
    sources = [*(Path(source) for source in options["sources"]), folder]
    made = plan.make(table, sources, options["cells"], options["retry_failed"])
    print(produce.plan_summary(made), flush=True)
    stopped = False
    if not options["render_only"]:
        stopped = produce.run_missing(made, folder, options)
    if options["dry_run"]:
        return 0
    produce.write(made, folder, extra)
    if stopped:
        print("stopped; the same command goes on")
    return INTERRUPTED if stopped else 0


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
