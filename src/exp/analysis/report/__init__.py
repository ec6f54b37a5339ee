"""The HTML report: one page that opens from disk, with everything in it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from exp.analysis.comparison import Comparison
from exp.analysis.report.page import page
from exp.analysis.report.payload import payload
from exp.curves.verdict import Thresholds
from exp.errors import ExpError
from exp.run.files import write_atomic

# One scope, in this order: each file uses only what stands in those before it.
SCRIPTS = (
    "core.js",
    "series.js",
    "filter.js",
    "groups.js",
    "table.js",
    "lazy.js",
    "charts.js",
    "parallel.js",
    "scatter.js",
    "details.js",
    "examples.js",
    "evidence.js",
    "importance.js",
    "views.js",
    "permalink.js",
    "main.js",
)


def write(comparison: Comparison, path: Path) -> None:
    """Raises ExpError where plotly is missing."""
    library = _plotly()
    ours = "\n".join(_text(name) for name in SCRIPTS)
    title = "exp report: " + ", ".join(task.name for task in comparison.tasks)
    data = payload(comparison, Thresholds())
    script = f"'use strict';\n(() => {{\n{ours}\n}})();"
    look = _text("report.css")
    write_atomic(path, page(title, _text("report.html"), data=data, scripts=(script,), library=library, styles=look))


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ExpError("the HTML report needs plotly, which is not installed: pip install 'exp[report]'") from None
    return str(get_plotlyjs())
