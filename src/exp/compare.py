"""python -m exp.compare multirun/2026-11-20 --where 'optimizer.lr<1e-4' --baseline optimizer.lr=5e-5"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from exp.analysis import formats, latex, table
from exp.analysis.collect import collect
from exp.analysis.comparison import Comparison
from exp.analysis.evidence import tables as evidence_tables
from exp.analysis.grouping import compare
from exp.errors import ExpError
from exp.run.files import write_atomic, write_json

SOURCES = """
sources:
  a run folder, a sweep's or study's folder, any folder above runs, a glob in quotes,
  an offline W&B folder or .wandb file, wandb:entity/project or wandb:entity/project/group
"""


def main(arguments: list[str] | None = None) -> int:
    """0, or 2 with one line on stderr for bad input."""
    options = _parser().parse_args(arguments)
    try:
        comparison = compare(
            collect(options.sources, options.index),
            sources=options.sources,
            filters=options.where,
            metric=options.metric,
            baseline=options.baseline,
            sort=options.sort,
            reverse=options.reverse,
            use=options.use,
        )
        if options.cluster and not options.items:
            raise ExpError(f"--cluster {options.cluster} belongs to --items, which is not given")
        if options.overlap and not options.items:
            raise ExpError("--overlap belongs to --items, which is not given")
        if options.items:
            from exp.analysis.evidence.items import with_items

            comparison = with_items(comparison, cluster=options.cluster, overlap=options.overlap)
        columns = options.columns.split(",") if options.columns else None
        tables = _tables(comparison, options.precision, columns)
        _print(tables, comparison, options.width)
        written = _write(options, tables, comparison)
    except ExpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in written:
        print(f"wrote {path}")
    return 0


def _tables(comparison: Comparison, precision: int, columns: list[str] | None) -> list[table.Table]:
    """Of each task the table over seeds, and after it what was asked over examples."""
    tables = []
    for task in comparison.tasks:
        tables.append(table.make(task, precision, columns))
        over_items = evidence_tables.make(task, precision)
        tables += [] if over_items is None else [over_items]
    return tables


def _print(tables: list[table.Table], comparison: Comparison, width: int | None) -> None:
    from rich.console import Console

    # In a pipe rich would cut every line at 80 columns.
    console = Console(width=width or (None if sys.stdout.isatty() else 10_000))
    formats.show(tables, comparison, console)


def _write(options: argparse.Namespace, tables: list[table.Table], comparison: Comparison) -> list[str]:
    written = []
    columns = options.columns.split(",") if options.columns else None
    texts = (
        (options.md, lambda: formats.markdown(tables)),
        (options.csv, lambda: formats.csv_text(comparison)),
        (options.latex, lambda: latex.latex(comparison.tasks, options.precision, columns)),
    )
    try:
        for path, text in texts:
            if path is not None:
                write_atomic(path, text())
                written.append(str(path))
        if options.json is not None:
            write_json(options.json, comparison.to_json())
            written.append(str(options.json))
        if options.html is not None:
            from exp.analysis.report import write

            write(comparison, options.html)
            written.append(str(options.html))
    except OSError as error:
        raise ExpError(f"cannot write {error.filename or ''}: {error.strerror}") from None
    if options.log_wandb:
        from exp.analysis.wandb_table import log_comparison

        written.append(log_comparison(comparison, tables, options.log_wandb))
    return written


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m exp.compare",
        description="Sets runs side by side, grouped by condition, with their spread over seeds.",
        epilog=SOURCES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    parser.add_argument(
        "--where", action="append", default=[], metavar="FILTER", help="'optimizer.lr<1e-4'; repeatable"
    )
    parser.add_argument("--metric", help="the metric that ranks and is tested (default: the runs' objective)")
    parser.add_argument("--use", choices=("best", "last"), default="best", help="values that differences are taken of")
    parser.add_argument("--baseline", metavar="CONDITION", help="a filter ('optimizer.lr=5e-5') or the start of a hash")
    parser.add_argument("--items", action="store_true", help="tests over the examples of the evaluation set too")
    parser.add_argument("--cluster", metavar="COLUMN", help="with --items: its equal values are not independent")
    parser.add_argument("--overlap", action="store_true", help="with --items: pair the rows that all runs have")
    parser.add_argument("--sort", metavar="COLUMN", help="a metric (best first) or a config key")
    parser.add_argument("--reverse", action="store_true", help="turn the order round")
    parser.add_argument("--columns", metavar="A,B", help="only these columns, in this order")
    parser.add_argument("--precision", type=int, default=4, help="digits after the point (default 4)")
    parser.add_argument("--width", type=int, help="terminal columns (default: as wide as it is)")
    for name, what in (
        ("md", "Markdown"),
        ("csv", "CSV, one line a condition"),
        ("json", "everything, as JSON"),
        ("latex", "LaTeX with booktabs"),
        ("html", "one self-contained page with curves"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)
    parser.add_argument(
        "--log-wandb", metavar="PROJECT", help="write the comparison as a table run to this W&B project"
    )
    parser.add_argument("--index", type=Path, metavar="FILE", help="where the index of large folders lies")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
