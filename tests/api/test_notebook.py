"""exp in a real notebook kernel, from the first cell to the last."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

CELLS = (
    "import exp",
    'run = exp.train(["data.train_size=32", "data.eval_size=20", "max_steps=2", "tracker=none", '
    '"logging_steps=1"])\nrun',
    "run.metrics",
    'exp.train(["optimizer.lr=-1"])',
    "exp.runs()",
    'exp.compare("outputs")',
    'run.pipeline(["the soup was bad ."])[0]["label"]',
)


@pytest.mark.slow
def test_a_notebook_from_end_to_end(tmp_path: Path) -> None:
    from nbclient import NotebookClient

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    NotebookClient(book, timeout=300, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [cell.outputs for cell in book.cells]
    html = {place: shown[place][-1].data["text/html"] for place in (1, 2, 4, 5)}
    assert (
        "completed, seed 42" in html[1] and "eval/accuracy" in html[2] and "<table" in html[4] and "<table" in html[5]
    )
    printed = "".join(one.text for one in shown[1] if one.output_type == "stream")
    assert "completed: best" in printed and "Traceback" not in printed
    [error] = [one for one in shown[3] if one.output_type == "error"]
    assert error.traceback == ["exp: optimizer.lr=-1 must be above 0"]
    assert shown[6][-1].data["text/plain"] in ("'positive'", "'negative'")
