"""Whole evaluations, decoding and metrics included: Trainer.evaluate, or predict_with_generate, and ours, in turns.

python -m benchmarks.evaluation                              # bert_tiny; t5_tiny generates
python -m benchmarks.evaluation --glue <GLUE's MRPC> --words <WNUT-17>   # MiniLM classifies texts and tokens as well

All have the same weights and rows, and batches of 32 rows; speed=fast has those of its token budget. Trainer keeps its
own order and its own padding.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import PLAIN, config_of, parts_of
from benchmarks.harness import alternate, report, show
from benchmarks.step_time import minilm
from exp.compat.accelerate import forget_last_run
from exp.distributed.world import accelerator_of
from exp.loop.base import Parts
from exp.loop.evaluation import Evaluator

BATCH = 32


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
    """As transformers' own examples do it: run_glue.py, run_ner.py, run_summarization.py."""
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, Trainer, TrainingArguments

    parts = parts_of(config_of([*words, *PLAIN]))
    features = next(iter(parts.encoded.evals.values()))
    common: dict[str, Any] = {"per_device_eval_batch_size": BATCH, "disable_tqdm": True, "report_to": "none"}
    folder = tempfile.mkdtemp()
    collator, compute = COLLATORS[kind](parts), METRICS[kind](parts)
    if kind == "generation":
        common["predict_with_generate"] = True
    arguments = (Seq2SeqTrainingArguments if kind == "generation" else TrainingArguments)(folder, **common)
    made = (Seq2SeqTrainer if kind == "generation" else Trainer)(
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


def _texts(parts: Parts) -> Any:
    from transformers import DataCollatorWithPadding

    return DataCollatorWithPadding(parts.processor)


def _tokens(parts: Parts) -> Any:
    from transformers import DataCollatorForTokenClassification

    return DataCollatorForTokenClassification(parts.processor)


def _pairs(parts: Parts) -> Any:
    from transformers import DataCollatorForSeq2Seq

    return DataCollatorForSeq2Seq(parts.processor, model=parts.model)


def _accuracy(parts: Parts) -> Any:
    from sklearn.metrics import accuracy_score, f1_score

    def compute(found: Any) -> dict[str, float]:
        answers = found.predictions.argmax(-1)
        return {"accuracy": accuracy_score(found.label_ids, answers), "f1": f1_score(found.label_ids, answers)}

    return compute


def _spans(parts: Parts) -> Any:
    from seqeval.metrics import f1_score

    names = list(parts.model.config.id2label.values())

    def compute(found: Any) -> dict[str, float]:
        answers = found.predictions.argmax(-1)
        pairs = [
            [(names[a], names[b]) for a, b in zip(*row, strict=True) if b != -100]
            for row in zip(answers, found.label_ids, strict=True)
        ]
        return {"f1": f1_score([[b for _, b in row] for row in pairs], [[a for a, _ in row] for row in pairs])}

    return compute


def _rouge(parts: Parts) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    scorer, pad = RougeScorer(["rouge1", "rouge2", "rougeL"]), parts.processor.pad_token_id

    def compute(found: Any) -> dict[str, float]:
        texts = [
            parts.processor.batch_decode(np.where(ids == -100, pad, ids), skip_special_tokens=True)
            for ids in (found.label_ids, found.predictions)
        ]
        scores = [scorer.score(*pair)["rouge1"].fmeasure for pair in zip(*texts, strict=True)]
        return {"rouge1": float(np.mean(scores))}

    return compute


COLLATORS: dict[str, Callable[[Parts], Any]] = {"texts": _texts, "tokens": _tokens, "generation": _pairs}
METRICS: dict[str, Callable[[Parts], Any]] = {"texts": _accuracy, "tokens": _spans, "generation": _rouge}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--glue", type=Path)
    parser.add_argument("--words", type=Path, help="a folder with WNUT-17")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    large = ["model=minilm_l6", f"model.path={minilm()}"] if asked.glue or asked.words else []
    cases = {
        "reviews, bert_tiny": ("texts", ["data=reviews"]),
        "notes, t5_tiny generates": ("generation", ["data=toy_notes"]),
    }
    if asked.glue:
        cases["MRPC, MiniLM"] = ("texts", ["data=mrpc", f"data.path={asked.glue}", *large])
    if asked.words:
        cases["WNUT-17 (300 rows), MiniLM"] = (
            "tokens",
            ["data=wnut17", f"data.path={asked.words}", "data.max_eval_samples=300", *large],
        )
    lines: list[str] = []
    data = {}
    for title, (kind, words) in cases.items():
        measures = {
            "Trainer": trainer(words, kind),
            "speed=exact": ours(words),
            "speed=fast": ours([*words, "speed=fast"]),
        }
        seconds = alternate(measures, asked.rounds)
        rates = {name: [1 / value for value in values] for name, values in seconds.items()}
        lines += show(f"{title}, batches of {BATCH} rows, {asked.rounds} turns", rates, "evaluations/s", "Trainer")
        data[title] = seconds
        report("evaluation", lines, {"seconds": data}, quiet=True)  # kept where a later case is cut off
    report("evaluation", lines, {"seconds": data})


if __name__ == "__main__":
    main()
