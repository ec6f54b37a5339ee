"""The runs of test_distributed.py, in processes that a launcher started: torchrun -m tests.distributed.processes FOLDER

One launch does them all, because importing torch takes longer than training them. Each leaves its numbers in
FOLDER/<name>.json.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from hydra.utils import execution_whitelist
from omegaconf import OmegaConf

from exp.distributed.joined_ranks import joined
from exp.loop import outputs
from exp.loop.trial import NoTrial
from exp.options.trust import whitelist
from exp.run import ranks
from exp.run.result import Result
from exp.testing.loops import Recorder, config_of
from exp.training.build import build, build_loop
from exp.training.lifecycle import opened
from tests.conformance.task_data import TASKS

LOOPS = ("accelerate", "trainer")
# Without dropout, whose masks every process draws for itself. 42 examples: the last batch of 8 has two.
COMMON = ["model.dropout=0", "per_device_eval_batch_size=7"]
UNEVEN = ["data.max_train_samples=41"]  # the last batch has one example, and one process none
RECIPES = {
    "plain": [],
    "accumulation": [
        *UNEVEN,
        *("gradient_accumulation_steps=4", "max_grad_norm=0.1", "scheduler=cosine", "scheduler.warmup_ratio=0.3"),
    ],
    "adapter": ["adapter=lora", "adapter.lora_dropout=0"],
    # Micro-batches with unequal numbers of labelled tokens, cut unequally over the processes.
    "tags": ["batching=length_grouped", "gradient_accumulation_steps=2", "max_grad_norm=0.5"],
    # Two files, one for each process; portions of five rows, so that the steps pass over several.
    "stream": [
        *("data.streaming=true", "data.train_file=[train.jsonl,dev.jsonl]", "data.max_train_samples=null"),
        *("max_steps=4", "data.shuffle_buffer=10", "gradient_accumulation_steps=2"),
    ],
    "stopping": ["num_train_epochs=4", "early_stopping_patience=2", "optimizer.lr=1e-12"],
    "images": ["num_train_epochs=1"],  # what is drawn for a row does not depend on who reads it
    "generation": ["num_train_epochs=1"],
}
# Recipe -> the task whose small data set it trains on.
DATA = {
    "tags": "token_classification",
    "images": "image_classification",
    "generation": "translation",
    "stream": "causal_lm",
}
# Name -> recipe and how it is cut over the processes.
SHARDED = {
    "fsdp": ("accumulation", ["load_best_model_at_end=true"]),
    "sized": ("plain", ["distributed.wrap=size", "distributed.min_params=50000", "distributed.cpu_offload=true"]),
    "cut-adapter": ("adapter", ["distributed.activation_checkpointing=true"]),
}


def words_of(recipe: str, loop: str, processes: int) -> list[str]:
    """The same batch of eight for any number of processes."""
    data = data_of(recipe) if recipe in DATA else []
    return [*COMMON, *data, f"loop={loop}", f"per_device_train_batch_size={8 // processes}", *RECIPES[recipe]]


def data_of(recipe: str) -> list[str]:
    """The words that name it. Whoever launches processes has called this before, so that one process writes it."""
    file = Path(os.environ["EXP_CACHE"]) / recipe / "words.json"
    if not file.exists():
        words = TASKS[DATA[recipe]](file.parent)
        file.write_text(json.dumps(words))
    return json.loads(file.read_text())


def story(result: Result, recorder: Recorder) -> dict[str, Any]:
    return {"events": recorder.events, "objective": result.objective, "stopped_early": result.stopped_early}


def run(folder: Path, words: list[str], trial: Any = None) -> tuple[Result, Recorder, Any]:
    """One run as exp.train makes it, but that the numbers stay in memory."""
    config = config_of(*words)
    if ranks.current.get().place.first:
        (folder / ".hydra").mkdir(parents=True, exist_ok=True)
        OmegaConf.save(OmegaConf.create(config), folder / ".hydra" / "config.yaml")
    recorder = Recorder()
    with opened(folder, config) as opened_run, execution_whitelist(whitelist()):
        parts = build(config)
        outputs.describe(parts, opened_run)
        result = build_loop(config).fit(parts, opened_run, recorder, trial or NoTrial())
    return result, recorder, parts


class PruneAt:
    """Prunes at the first evaluation; only the first process's word counts."""

    def __init__(self, rank: int) -> None:
        self.rank, self.seen = rank, 0

    def report(self, value: float, step: int) -> None:
        self.seen += 1

    def should_prune(self) -> bool:
        return self.rank == 0 and self.seen == 1


def main(folder: Path) -> None:
    with joined() as together:
        rank = together.place.rank

        def leave(name: str, found: dict[str, Any]) -> None:
            (folder / f"{name}.{rank}.json").write_text(json.dumps(found))

        for loop in LOOPS:
            for recipe in RECIPES:
                name = f"{loop}-{recipe}"
                result, recorder, _ = run(folder / name, words_of(recipe, loop, 2))
                leave(name, story(result, recorder))
            result, recorder, _ = run(folder / f"{loop}-pruned", words_of("plain", loop, 2), PruneAt(rank))
            leave(f"{loop}-pruned", {"status": result.status, **story(result, recorder)})
            for name, (recipe, words) in SHARDED.items():
                sharded = [*words_of(recipe, loop, 2), "distributed=fsdp", *words]
                result, recorder, parts = run(folder / f"{loop}-{name}", sharded)
                leave(f"{loop}-{name}", story(result, recorder))
                if rank == 0:
                    parts.adapter.merge(parts.model).save_pretrained(folder / f"{loop}-{name}" / "model")
            # Ended at its first evaluation, then gone on with from its checkpoint.
            recipe, words = SHARDED["fsdp"]
            saving = [*words_of(recipe, loop, 2), "distributed=fsdp", *words, "save_strategy=steps", "save_steps=1"]
            run(folder / f"{loop}-resumed", saving, PruneAt(rank))
            if rank == 0:  # for one process to go on from
                shutil.copytree(folder / f"{loop}-resumed", folder / f"{loop}-cut", symlinks=True)
            result, recorder, _ = run(folder / f"{loop}-resumed", saving)
            leave(f"{loop}-resumed", story(result, recorder))
        # Where each process's masks come from, after a run.
        (folder / f"seed.{rank}.json").write_text(json.dumps(torch.initial_seed()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
