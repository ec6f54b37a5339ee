"""Wrong answers as W&B's media, in an offline run."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from exp.data.dice import Dice
from exp.data.tones import recording
from tests.tracker.folders import history, new_run, wandb_folders
from tests.tracker.wandb_runs import tracker

ROWS = {
    "id": ["4", "2"],
    "item_score": [0.1, 0.2],
    "confidence": [0.9, 0.8],
    "label": ["a", "b"],
    "prediction": ["b", "a"],
}


def finished(run, **changes):
    """The media of a run whose wrong answers are ROWS, by key, and the folder of its files."""
    pq.write_table(pa.table({**ROWS, "text": ["x < y", "z"]}), run.errors / "eval.parquet")
    one = tracker(**{"log_examples": 16, **changes})
    one.start(run)
    one.log({"train/loss": 1.0}, step=1, epoch=1.0)
    run.finish("completed")
    one.finish("completed")
    (folder,) = wandb_folders(run)
    shown = {key.partition(".")[2]: value for row in history(folder) for key, value in row.items() if "wrong." in key}
    return shown, folder / "files"


@pytest.mark.parametrize("kind", ["images", "sounds", "texts"])
def test_they_are_shown_as_what_they_are(kind, wandb_home, tmp_path):
    run = new_run(tmp_path / "run")
    (run.errors / "eval").mkdir(parents=True)
    for row in range(2):
        if kind == "images":
            Image.new("L", (4, 4), 100 * row).save(run.errors / "eval" / f"{row:02}.png")
        elif kind == "sounds":
            (run.errors / "eval" / f"{row:02}.wav").write_bytes(recording(Dice(row), row))
    shown, files = finished(run)
    if kind == "texts":
        page = (files / shown["path"]).read_text()
        assert "x &lt; y" in page and page.index("x &lt; y") < page.index("<td>z")
    else:
        assert shown["_type"] == ("images/separated" if kind == "images" else "audio")
        assert shown["captions"] == ["a, predicted b (0.90)", "b, predicted a (0.80)"]
        assert len([path for path in files.rglob("media/**/*") if path.is_file()]) == 2


def test_none_where_none_are_asked_for(wandb_home, tmp_path):
    run = new_run(tmp_path / "run")
    run.errors.mkdir()
    shown, files = finished(run, log_examples=0)
    assert not shown and not (files / "media").exists()
