"""From the launch to the first optimizer step on a large TSV, the first and the second time, with peak memory.

python -m benchmarks.large_start --pairs 400000     # beside load_dataset and map(batched=True), as run_glue.py does it

Pairs of drawn words, 10 on average a text; MiniLM and its tokenizer.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import report, show
from benchmarks.step_time import minilm
from exp.data.dice import Dice

STOCK = """
import sys
from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from pathlib import Path
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments
class Mark(TrainerCallback):
    def on_step_end(self, *given, **more):
        Path(folder, "stepped").touch()
train, model, folder = sys.argv[1:]
rows = load_dataset("csv", data_files={"train": train}, delimiter="\\t", split="train", cache_dir=folder + "/cache")
tokenizer = AutoTokenizer.from_pretrained(model)
encode = lambda batch: tokenizer(batch["one"], batch["two"], truncation=True, max_length=128)
rows = rows.map(encode, batched=True, cache_file_name=folder + "/mapped.arrow")
net = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2)
arguments = TrainingArguments(folder + "/run", max_steps=1, disable_tqdm=True, save_strategy="no", report_to="none")
collator = DataCollatorWithPadding(tokenizer)
Trainer(net, arguments, train_dataset=rows, data_collator=collator, callbacks=[Mark()]).train()
"""


def write_pairs(path: Path, count: int) -> None:
    dice = Dice(7)
    vocabulary = [
        f"{one}{two}" for one in ("", "un", "re", "over") for two in ("do", "make", "see", "house", "tree", "go")
    ]
    with path.open("w", encoding="utf-8") as file:
        file.write("one\ttwo\tlabel\n")
        for number in range(count):
            texts = [" ".join(dice.pick(vocabulary) for _ in range(5 + 10 * dice.chance(0.5))) for _ in range(2)]
            file.write(f"{texts[0]}\t{texts[1]} {number}\t{number % 2}\n")


def launched(command: Sequence[str], mark: Path) -> tuple[float, float]:
    """Seconds until a process has made its first step, which writes `mark`; and its peak resident memory in MB."""
    begun = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(told.decode()[-2000:])
    return mark.stat().st_mtime - begun, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--pairs", type=int, default=400_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder / "train.tsv", asked.pairs)
        write_pairs(folder / "dev.tsv", 200)
        ours = [sys.executable, "-W", "ignore", "-m", "exp.train", "data=files", f"data.path={folder}"]
        ours += ["data.train_file=train.tsv", "data.validation_file=dev.tsv", "task=text_classification"]
        ours += ["task.text_columns=[one,two]", "task.label_column=label", "model=minilm_l6", f"model.path={minilm()}"]
        ours += ["tracker=none", "max_steps=1", "eval_strategy=no", f"cache_dir={folder / 'exp'}"]
        ours += ["logging_steps=1", "data.max_eval_samples=8"]
        small = [sys.executable, "-m", "exp.train", "model=minilm_l6", f"model.path={minilm()}", "tracker=none"]
        small += ["max_steps=1", "eval_strategy=no", f"cache_dir={folder / 'exp'}", f"hydra.run.dir={folder / 'small'}"]
        small += ["logging_steps=1", "data.max_eval_samples=8"]
        stock = [sys.executable, "-W", "ignore", "-c", STOCK, str(folder / "train.tsv"), str(minilm()), name]
        seconds: dict[str, list[float]] = {}
        peaks: dict[str, float] = {}
        for number, time_of in enumerate(("first", "second")):
            run = folder / f"run{number}"
            for who, command, mark in (
                ("load_dataset and map", stock, folder / "stepped"),
                ("exp", [*ours, f"hydra.run.dir={run}"], run / "metrics.jsonl"),
            ):
                spent, peaks[f"{who}, {time_of} time"] = launched(command, mark)
                seconds[f"{who}, {time_of} time"] = [spent]
                print(f"{who}, {time_of} time: {spent:.1f} s", file=sys.stderr, flush=True)
        spent, peaks["exp, 4,000 reviews"] = launched(small, folder / "small" / "metrics.jsonl")
        seconds["exp, 4,000 reviews"] = [spent]
    title = f"{asked.pairs:,} pairs: launch to the first step"
    lines = show(title, seconds, "s", "load_dataset and map, first time")
    lines += ["Peak memory, MB: " + ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items()), ""]
    report("large_start", lines, {"seconds": seconds, "megabytes": peaks})


if __name__ == "__main__":
    main()
