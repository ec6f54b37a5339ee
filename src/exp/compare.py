"""exp compare SOURCE...: sets runs side by side, grouped by condition, with their spread over seeds.

  exp compare multirun/2026-11-20 where='optimizer.lr<1e-4' baseline=optimizer.lr=5e-5 html=report.html

A source is a run folder, a sweep's or study's folder, any folder above runs, a results.json, a glob in quotes,
an offline W&B folder or .wandb file, wandb:entity/project or wandb:entity/project/group.
"""

from __future__ import annotations

import sys

from exp.analysis import exchange, formats, latex, table
from exp.analysis.collect import collect
from exp.analysis.comparison import Comparison
from exp.analysis.evidence import tables as evidence
from exp.analysis.grouping import compare
from exp.api import tables
from exp.api.callable_module import make_callable
from exp.errors import ExpError
from exp.options import arguments
from exp.options.arguments import Option
from exp.run.exits import plain_exits
from exp.run.files import write_atomic, write_json

GRAMMAR = arguments.Grammar(
    doc=__doc__,
    bare="SOURCE",
    least=1,
    key="run",
    options={
        "where": Option("only these runs: 'optimizer.lr<1e-4'; may be given several times", many=True),
        "metric": Option("the metric that ranks and is tested (the runs' objective)"),
        "use": Option(
            "best (the default) or last: values that differences are taken of", arguments.one_of("best", "last"), "best"
        ),
        "baseline": Option("a condition, as a filter (optimizer.lr=5e-5) or the start of a hash"),
        "items": Option("true: tests over the examples of the evaluation set too", arguments.switch, False),
        "cluster": Option("with items: a column whose equal values are not independent of each other"),
        "overlap": Option("with items, true: pair the rows that all runs have", arguments.switch, False),
        "slice": Option("a column or an expression (length>20) whose parts are scored alone; repeatable", many=True),
        "without_leaks": Option("true: scores without the rows that stand in train too", arguments.switch, False),
        "calibration": Option("true: whether the probabilities mean what they say", arguments.switch, False),
        "sort": Option("a metric (best first) or a config key"),
        "reverse": Option("true: turn the order round", arguments.switch, False),
        "columns": Option("only these columns, in this order: a,b", arguments.listed),
        "precision": Option("digits after the point (4)", arguments.whole(0, 17), 4),
        "width": Option("terminal columns (as wide as it is)", arguments.whole(20)),
        "md": Option("a file for Markdown", arguments.file),
        "csv": Option("a file for CSV, one line a condition", arguments.file),
        "json": Option("a file for everything, as JSON", arguments.file),
        "results": Option("a file (results.json) that others, and exp compare, can read", arguments.file),
        "latex": Option("a file for LaTeX with booktabs", arguments.file),
        "html": Option("a file for one self-contained page with curves", arguments.file),
        "log_wandb": Option("a W&B project that the comparison is written to, as a table run"),
        "index": Option("a file for the index of large folders", arguments.file),
    },
)


def main(argv: list[str] | None = None) -> int:
    """0; ends the process with code 2 and one line on stderr for bad input."""
    with plain_exits():
        given = arguments.parse(sys.argv[1:] if argv is None else argv, GRAMMAR)
        _check_targets(given)
        comparison = compare(
            collect(given.bare, given["index"]),
            sources=given.bare,
            filters=given["where"],
            metric=given["metric"],
            baseline=given["baseline"],
            sort=given["sort"],
            reverse=given["reverse"],
            use=given["use"],
        )
        comparison = _with_evidence(comparison, given)
        tables = _tables(comparison, given)
        _print(tables, comparison, given["width"])
        for path in _write(given, tables, comparison):
            print(f"wrote {path}")
    return 0


def _check_targets(given: arguments.Given) -> None:
    """Two tables in one file would be one. Raises ExpError."""
    files = [given[name].resolve() for name in ("md", "csv", "json", "latex", "html") if name in given]
    twice = [file for file in files if files.count(file) > 1]
    if twice:
        raise ExpError(f"{twice[0]} is named for two formats; give each a file of its own")


def _with_evidence(comparison: Comparison, given: arguments.Given) -> Comparison:
    asked = ("items", "slice", "without_leaks", "calibration")
    if not any(given[key] for key in asked):
        for key in ("cluster", "overlap"):
            if given[key]:
                raise ExpError(f"{key}={given[key]} belongs to items=true, which is not given")
        return comparison
    from exp.analysis.evidence.items import ItemOptions, with_items

    options = ItemOptions(
        given["cluster"], given["overlap"], tuple(given["slice"]), given["without_leaks"], given["calibration"]
    )
    return with_items(comparison, options)


def _tables(comparison: Comparison, given: arguments.Given) -> list[table.Table]:
    """Of each task the table over seeds, and after it what was asked over examples."""
    tables = []
    for task in comparison.tasks:
        tables.append(table.make(task, given["precision"], given["columns"]))
        tables += evidence.tables(task, given["precision"])
    return tables


def _print(tables: list[table.Table], comparison: Comparison, width: int | None) -> None:
    from rich.console import Console

    # In a pipe rich would cut every line at 80 columns.
    console = Console(width=width or (None if sys.stdout.isatty() else 10_000))
    formats.show(tables, comparison, console)


def _write(given: arguments.Given, tables: list[table.Table], comparison: Comparison) -> list[str]:
    written = []
    texts = {
        "md": lambda: formats.markdown(tables),
        "csv": lambda: formats.csv_text(comparison),
        "latex": lambda: latex.latex(comparison.tasks, given["precision"], given["columns"]),
    }
    try:
        for key, text in texts.items():
            if key in given:
                write_atomic(given[key], text())
                written.append(str(given[key]))
        if "json" in given:
            write_json(given["json"], comparison.to_json())
            written.append(str(given["json"]))
        if "results" in given:
            write_json(given["results"], exchange.of_comparison(comparison))
            written.append(str(given["results"]))
        if "html" in given:
            from exp.analysis.report import write

            write(comparison, given["html"])
            written.append(str(given["html"]))
    except OSError as error:
        raise ExpError(f"cannot write {error.filename or ''}: {error.strerror}") from None
    if "log_wandb" in given:
        from exp.analysis.wandb_table import log_comparison

        written.append(log_comparison(comparison, tables, given["log_wandb"]))
    return written


from_python = tables.compare
make_callable(__name__)

if __name__ == "__main__":
    raise SystemExit(main())
