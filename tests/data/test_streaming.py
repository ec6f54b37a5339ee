"""Rows that are read as they are needed: equal loops, exact resume, mixtures, and what cannot be streamed."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from exp.data.interleave import Interleaved
from exp.data.line_stream import LineRows
from exp.data.mixture import Mixture
from exp.data.read_options import ReadOptions
from exp.errors import ExpError
from exp.testing.loops import config_of, parts_of
from exp.testing.promises import both_loops_equal_a_plain_loop_and_go_on
from exp.training.build import build_data

WORDS = ("red", "green", "blue", "cat", "dog", "house", "tree", "river")
STREAMED = ["data.streaming=true", "data.shuffle_buffer=16", "data.max_train_samples=null", "max_steps=5"]


def write(file: Path, rows: int, seed: int = 0) -> Path:
    """JSON lines of one to twelve words, packed where the name says so."""
    dice = random.Random(seed)
    with gzip.open(file, "wt") if file.suffix == ".gz" else file.open("w") as out:
        for row in range(rows):
            text = " ".join(dice.choice(WORDS) for _ in range(dice.randint(1, 12)))
            out.write(json.dumps({"text": f"{file.stem.partition('.')[0]} {row} {text}"}) + "\n")
    return file


@pytest.fixture
def corpus(tmp_path):
    """The words that name four files to train on, one of them packed, and one to evaluate on."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(3):
        write(folder / f"part-{number}.jsonl", 40, number)
    write(folder / "part-3.jsonl.gz", 40, 3)
    write(folder / "dev.jsonl", 12, 9)
    return ["data=files", f"data.path={folder}", "data.train_file=part-*", "data.validation_file=dev.jsonl", *STREAMED]


@pytest.mark.parametrize("task", ["causal_lm", "masked_lm"])
def test_a_stream_keeps_what_loops_promise(tmp_path, corpus, task):
    """Portions of four rows in each of four lanes: the five steps of four micro-batches pass over several."""
    model = "gpt2_tiny" if task == "causal_lm" else "bert_tiny"
    words = [*corpus, f"task={task}", f"model={model}", "task.block_size=8"]
    _, _, run = both_loops_equal_a_plain_loop_and_go_on(tmp_path / "runs", words)
    facts = json.loads((run.folder / "run.json").read_text())["data"]
    assert facts["stream"]["files"][3][0] == "part-3.jsonl.gz" and "train_examples" not in facts


def rows_of(words, count: int) -> list[list[int]]:
    train = parts_of(config_of(*words)).encoded.train
    train.begin_epoch(0, 42)
    return [train[row]["input_ids"] for row in range(count)]
