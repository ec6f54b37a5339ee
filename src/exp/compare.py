"""python -m exp.compare multirun/2026-11-20 --where 'optimizer.lr<1e-4' --baseline optimizer.lr=5e-5"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from exp.analysis import formats, latex, table
from exp.analysis.collect import collect
from exp.analysis.comparison import Comparison
from exp.analysis.grouping import compare
from exp.errors import ExpError
from exp.run.exits import shortened, words
from exp.run.files import write_atomic, write_json

FILES = ("md", "csv", "json", "latex", "html")
SOURCES = """
sources:
  a run folder, a sweep's or study's folder, any folder above runs, a glob in quotes,
  an offline W&B folder or .wandb file, wandb:entity/project or wandb:entity/project/group
"""


def main(arguments: list[str] | None = None) -> int:
    """0, or 2 with one line on stderr for bad input."""
    try:
        options = _parser().parse_args(words(arguments))
        _check_targets(options)
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
        columns = options.columns.split(",") if options.columns else None
        tables = [table.make(task, options.precision, columns) for task in comparison.tasks]
        _print(tables, comparison, options.width)
        written = _write(options, tables, comparison)
    except ExpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {shortened(str(error.filename or ''))}: {error.strerror}", file=sys.stderr)
        return 2
    for path in written:
        print(f"wrote {path}")
    return 0


def _check_targets(options: argparse.Namespace) -> None:
    """Two tables in one file would be one. Raises ExpError."""
    given = [path.resolve() for name in FILES if (path := getattr(options, name)) is not None]
    twice = [path for path in given if given.count(path) > 1]
    if twice:
        raise ExpError(f"{twice[0]} is named for two formats; give each a file of its own")


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


def columns(text: str) -> int:
    """A terminal's width, for argparse."""
    if not text.isdecimal() or not 20 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is no width; it takes 20 or more")
    return int(text)


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
    parser.add_argument("--sort", metavar="COLUMN", help="a metric (best first) or a config key")
    parser.add_argument("--reverse", action="store_true", help="turn the order round")
    parser.add_argument("--columns", metavar="A,B", help="only these columns, in this order")
    parser.add_argument(
        "--precision", type=int, choices=range(18), default=4, metavar="N", help="digits after the point (default 4)"
    )
    parser.add_argument("--width", type=columns, help="terminal columns (default: as wide as it is)")
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
