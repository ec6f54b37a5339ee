"""Whole evaluations, decoding and metrics included: Trainer.evaluate, or predict_with_generate, and ours, in turns.

python -m benchmarks.evaluation                              # bert_tiny; t5_tiny generates
python -m benchmarks.evaluation --glue <GLUE's MRPC> --data DATA   # MiniLM: texts, tokens, questions, choices as well

All have the same weights and rows, and batches of 32 rows; speed=fast has those of its token budget. Trainer keeps its
own order and pads each batch to its longest row.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import PLAIN, config_of, parts_of
from benchmarks.evaluation_peers import COLLATORS, METRICS
from benchmarks.harness import alternate, report, show
from benchmarks.step_time import minilm, words_of_task
from exp.compat.accelerate import forget_last_run
from exp.distributed.world import accelerator_of
from exp.loop.evaluation import Evaluator

BATCH = 32
LARGE = [
    ("WNUT-17 (300 rows)", "tokens", "wnut17"),
    ("SQuAD part (300 questions)", "spans", "squad_part"),
    ("CommonsenseQA (300 rows)", "choices", "commonsenseqa"),
    ("Multi30k (300 sentences), trained", "translation", "multi30k"),
]
GENERATES = ("generation", "translation")
TRAINED_STEPS = 400  # so that generated texts end, each at a place of its own


def ours(words: Sequence[str]) -> Callable[[], float]:
    parts = parts_of(config_of([*words, f"per_device_eval_batch_size={BATCH}"]))
    forget_last_run()  # contenders differ in their precision
    accelerator = accelerator_of(parts.world, parts.model, parts.mixed_precision)
    model = accelerator.prepare_model(parts.model, evaluation_mode=True)
    evaluator = Evaluator(
        parts.task,
        parts.reading,
        parts.processor,
        parts.collator,
        BATCH,
        accelerator.device,
        parts.world,
        parts.settings.eval_max_tokens,
    )
    sets = {suffix: (parts.encoded.evals[suffix], examples) for suffix, examples in parts.data.evals.items()}

    def measure() -> float:
        begun = time.perf_counter()
        evaluator.sets(model, sets, tune=False)
        return time.perf_counter() - begun

    return measure


def trainer(words: Sequence[str], kind: str) -> Callable[[], float]:
    """As transformers' own examples do it: run_glue.py, run_ner.py, run_qa.py, run_swag.py, run_summarization.py."""
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, Trainer, TrainingArguments

    parts = parts_of(config_of([*words, *PLAIN]))
    features = next(iter(parts.encoded.evals.values()))
    common: dict[str, Any] = {
        "per_device_eval_batch_size": BATCH,
        "disable_tqdm": True,
        "log_level": "error",
        "report_to": "none",
        "remove_unused_columns": False,
    }
    folder = tempfile.mkdtemp()
    collator, compute = COLLATORS[kind](parts), METRICS[kind](parts)
    if kind in GENERATES:
        common["predict_with_generate"] = True
    arguments = (Seq2SeqTrainingArguments if kind in GENERATES else TrainingArguments)(folder, **common)
    made = (Seq2SeqTrainer if kind in GENERATES else Trainer)(
        model=parts.model,
        args=arguments,
        eval_dataset=[features[i] for i in range(len(features))],  # type: ignore[arg-type]
        data_collator=collator,
        compute_metrics=compute,
    )

    def measure() -> float:
        begun = time.perf_counter()
        made.evaluate()
        return time.perf_counter() - begun

    return measure


def trained(words: Sequence[str]) -> Path:
    """The folder of a model that these words have trained."""
    folder = Path(tempfile.mkdtemp())
    more = [
        f"max_steps={TRAINED_STEPS}",
        "optimizer.lr=2e-3",
        "eval_strategy=no",
        "tracker=none",
        f"hydra.run.dir={folder}",
    ]
    subprocess.run([sys.executable, "-m", "exp.train", *words, *more], check=True, stdout=subprocess.DEVNULL)
    return folder / "model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--glue", type=Path)
    parser.add_argument("--data", type=Path, help="the folder of the data sets: tokens, questions and choices")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--also", nargs="+", default=[], help='contenders: "speed=fast eval_max_tokens=8192"')
    parser.add_argument("--only", nargs="+", help="cases, by a part of their title")
    asked = parser.parse_args()
    cases = {
        "reviews, bert_tiny": ("texts", ["data=reviews"]),
        "notes, t5_tiny generates": ("generation", ["data=toy_notes"]),
    }
    if asked.glue:
        model = ["model=minilm_l6", f"model.path={minilm()}"]
        cases["MRPC, MiniLM"] = ("texts", ["data=mrpc", f"data.path={asked.glue}", *model])
    if asked.data:
        for title, kind, name in LARGE:
            words, _ = words_of_task(name, asked.data)
            of = "t5_tiny" if kind in GENERATES else "MiniLM"
            cases[f"{title}, {of}"] = (kind, [*words, "data.max_eval_samples=300"])
    if asked.only:
        cases = {title: case for title, case in cases.items() if any(word in title for word in asked.only)}
    lines: list[str] = []
    data = {}
    for title, (kind, words) in cases.items():
        if "trained" in title:
            words = [*words, "model=pretrained", f"model.path={trained(words)}"]
        measures = {
            "Trainer": trainer(words, kind),
            "speed=exact": ours(words),
            "speed=fast": ours([*words, "speed=fast"]),
            **{more: ours([*words, *more.split()]) for more in asked.also},
        }
        seconds = alternate(measures, asked.rounds)
        rates = {name: [1 / value for value in values] for name, values in seconds.items()}
        lines += show(f"{title}, batches of {BATCH} rows, {asked.rounds} turns", rates, "evaluations/s", "Trainer")
        data[title] = seconds
        report("evaluation", lines, {"seconds": data}, quiet=True)  # kept where a later case is cut off
    report("evaluation", lines, {"seconds": data})


if __name__ == "__main__":
    main()
