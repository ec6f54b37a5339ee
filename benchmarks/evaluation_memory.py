"""Peak memory of an evaluation against that of the same forward passes alone, each in a fork of one prepared process.

python -m benchmarks.evaluation_memory --rows 10000
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Callable
from typing import Any

from benchmarks.contenders import config_of, parts_of
from benchmarks.harness import report

TASKS = {
    "question_answering": ["data=trips"],
    "causal_lm": ["data=markov_text", "model=gpt2_tiny", "task.max_new_tokens=8"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of an evaluation.")
    parser.add_argument("--rows", type=int, default=10_000, help="of the evaluation set")
    parser.add_argument("--only", choices=TASKS, nargs="+", default=list(TASKS))
    asked = parser.parse_args()
    lines = ["| task | rows | prepared | model alone | evaluation | ratio |", "| --- | --- | --- | --- | --- | --- |"]
    data: dict[str, Any] = {}
    for task in asked.only:
        words = TASKS[task]
        sizes = ["data.train_size=200", f"data.eval_size={asked.rows}", "data.test_size=2", "loop=accelerate"]
        parts = parts_of(config_of([*words, *sizes]))
        before = _peak()
        alone, whole = (_in_fork(work, parts) for work in (_forward_alone, _evaluation))
        # What the prepared process holds is in both: the data and the weights.
        data[task] = {"prepared": before, "alone": alone, "evaluation": whole}
        cells = " | ".join(f"{value:.0f} MB" for value in (before, alone, whole))
        lines.append(f"| {task} | {asked.rows:,} | {cells} | {whole / alone:.2f} |")
    report("evaluation_memory", [*lines, ""], {"megabytes": data})


def _forward_alone(parts: Any) -> None:
    """The batches of an evaluation through the model, and nothing kept."""
    import torch

    features, size = parts.encoded.evals[""], parts.settings.per_device_eval_batch_size
    order = sorted(range(len(features)), key=lambda row: features.lengths[row])
    parts.model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), size):
            parts.model(**parts.collator([features[row] for row in order[start : start + size]]))


def _evaluation(parts: Any) -> None:
    """As at the end of a run, predictions and scores included."""
    import torch

    from exp.loop.evaluation import Evaluator

    evaluator = Evaluator(
        parts.task,
        parts.reading,
        parts.processor,
        parts.collator,
        parts.settings.per_device_eval_batch_size,
        torch.device("cpu"),
    )
    evaluator.sets(parts.model, {"eval": (parts.encoded.evals[""], parts.data.evals[""])}, tune=True)


def _in_fork(work: Callable[[Any], None], parts: Any) -> float:
    context = multiprocessing.get_context("fork")
    there, here = context.Pipe()

    def child() -> None:
        work(parts)
        there.send(_peak())

    process = context.Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 0
    return here.recv()


def _peak() -> float:
    """MB of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
