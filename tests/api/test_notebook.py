"""The notebooks of docs/, in a real kernel, from the first cell to the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"


@pytest.mark.slow
def test_the_notebooks_from_end_to_end(tmp_path: Path) -> None:
    from nbclient import NotebookClient

    quickstart, compare, own = (_code(name) for name in ("quickstart", "compare", "own_project"))
    refused = 'exp.train(["optimizer.lr=-1"])'
    # One kernel for all: a kernel's imports take longer than its cells.
    sources = [*quickstart, refused, *compare, *own]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in sources])
    NotebookClient(book, timeout=300, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown: dict[str, Any] = {cell.source: cell.outputs for cell in book.cells}
    trained, metrics, predictions, answer = (shown[source] for source in quickstart[1:])
    assert "completed, seed 42" in _html(trained) and "eval/accuracy" in _html(metrics)
    assert "prediction" in _html(predictions) and answer[-1].data["text/plain"] in ("'positive'", "'negative'")
    printed = "".join(one.text for one in trained if one.output_type == "stream")
    assert "completed: best" in printed and "Traceback" not in printed
    [error] = [one for one in shown[refused] if one.output_type == "error"]
    assert error.traceback == ["exp: optimizer.lr=-1 must be above 0"]
    assert _html(shown[compare[2]]).count("completed") == 5  # the quickstart's run too
    table = _html(shown[compare[3]])
    assert "0.003" in table or "3e-3" in table
    assert "completed" in _html(shown[own[1]])
    [mistyped] = [one for one in shown[own[4]] if one.output_type == "error"]
    assert "did you mean" in mistyped.traceback[0] and "least" in mistyped.traceback[0]
    assert _html(shown[own[5]]).count("completed") == 2 and "hinged" in _html(shown[own[5]])
    assert [one for cell in book.cells for one in cell.outputs if one.output_type == "error"] == [error, mistyped]


def _code(name: str) -> list[str]:
    """The sources of the notebook's code cells."""
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def _html(outputs: Any) -> str:
    return str(outputs[-1].data["text/html"])
