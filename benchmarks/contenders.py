"""The loops that are timed: a tutorial's, stock Trainer's, and ours. Each calls `turn` after every `chunk` steps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import execution_whitelist
from omegaconf import OmegaConf

from exp.loop.base import Parts
from exp.loop.trial import NoTrial
from exp.options.confdir import conf_dir
from exp.options.trust import whitelist
from exp.run.folder import create
from exp.task.text_classification import TextClassification
from exp.tracker.base import NullTracker
from exp.training.build import build, build_loop

Turn = Callable[[], None]
# Other people's loops get the model as it is.
PLAIN = [f"speed.{key}=false" for key in ("keep_embedding_gradients", "keep_memory", "onednn_linear")]


def config_of(words: Sequence[str]) -> dict[str, Any]:
    with initialize_config_dir(str(conf_dir())):
        cfg = compose("train", overrides=["tracker=none", *words])
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def parts_of(config: Mapping[str, Any]) -> Parts:
    with execution_whitelist(whitelist()):
        return build(config)


def tutorial(words: Sequence[str], steps: int, chunk: int, turn: Turn) -> None:
    """The course's plain loop: random batches, dynamic padding, unfused AdamW, fp32, no clipping.

    Its batches are those of our loops with the same seed: on a few dozen steps lengths would decide otherwise.
    """
    from torch.utils.data import DataLoader, RandomSampler
    from transformers import DataCollatorWithPadding, get_scheduler

    parts = parts_of(config_of([*words, *PLAIN]))
    model, batch = parts.model, parts.settings.per_device_train_batch_size
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    rows = [parts.encoded.train[i] for i in range(len(parts.encoded.train))]
    order = RandomSampler(rows, generator=torch.Generator().manual_seed(parts.settings.data_seed))
    # transformers pads no labels of tokens and no choices; ours gives the same batches for labels of rows.
    whole = isinstance(parts.task, TextClassification)
    collate = DataCollatorWithPadding(parts.processor) if whole else parts.collator
    loader = DataLoader(rows, batch_size=batch, sampler=order, collate_fn=collate)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, foreach=False, fused=False)
    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=steps)
    done = 0
    while done < steps:
        for row in loader:
            loss = model(**{key: value.to(device) for key, value in row.items()}).loss
            loss.backward()
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            done += 1
            if done % chunk == 0:
                turn()
            if done == steps:
                break


def stock_trainer(words: Sequence[str], steps: int, chunk: int, turn: Turn, pad_to: int | None = None) -> None:
    """transformers.Trainer with default arguments; `pad_to` pads every example to that length, as run_glue does."""
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

    parts = parts_of(config_of([*words, *PLAIN]))

    class Turns(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step % chunk == 0:
                turn()

    padding: dict[str, Any] = {"padding": "max_length", "max_length": pad_to} if pad_to else {}
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=parts.model,
            args=TrainingArguments(
                folder,
                max_steps=steps,
                per_device_train_batch_size=parts.settings.per_device_train_batch_size,
                disable_tqdm=True,
                save_strategy="no",
                log_level="error",
            ),
            train_dataset=parts.encoded.train,
            data_collator=DataCollatorWithPadding(parts.processor, **padding),
            callbacks=[Turns()],
        ).train()


@dataclass
class Turns(NullTracker):
    """A tracker whose every log of the training is a turn."""

    turn: Turn

    def log(self, metrics: Any, *, step: int, epoch: float) -> None:
        if "train/loss" in metrics:
            self.turn()


def ours(words: Sequence[str], steps: int, chunk: int, turn: Turn) -> None:
    """One of our loops, logging and all; there is no evaluation."""
    config = config_of([*words, f"max_steps={steps}", "eval_strategy=no", f"logging_steps={chunk}"])
    with tempfile.TemporaryDirectory() as folder:
        run = create(Path(folder), config)
        parts = parts_of(config)
        with execution_whitelist(whitelist()):
            loop = build_loop(config)
        loop.fit(parts, run, Turns(turn), NoTrial())


def fast_with_fused_attention(words: Sequence[str], *given: Any) -> None:
    """speed=fast where attention without dropout is torch's fused one, as it is above FEW_SCORES."""
    from exp.speed import dropout

    dropout.FEW_SCORES = 0
    ours([*words, *FAST], *given)


CONTENDERS: dict[str, Callable[..., None]] = {
    "tutorial": tutorial,
    "Trainer": stock_trainer,
    "Trainer padded to 128": lambda words, steps, chunk, turn: stock_trainer(words, steps, chunk, turn, pad_to=128),
    "loop=accelerate": lambda words, *given: ours([*words, "loop=accelerate"], *given),
    "loop=trainer": lambda words, *given: ours([*words, "loop=trainer"], *given),
    "speed=fast": lambda words, *given: ours([*words, "loop=accelerate", "speed=fast"], *given),
    "speed=fast, loop=trainer": lambda words, *given: ours([*words, "loop=trainer", "speed=fast"], *given),
}
CONTENDERS["saving every 50 steps"] = lambda words, *given: ours(
    [*words, "loop=accelerate", "save_strategy=steps", "save_steps=50"], *given
)
CONTENDERS["exact with MKL"] = lambda words, *given: ours(
    [*words, "loop=accelerate", "speed.onednn_linear=false"], *given
)
CONTENDERS |= {
    f"exact, {mode}": lambda words, *given, mode=mode: ours([*words, "loop=accelerate", f"batching={mode}"], *given)
    for mode in ("packed", "length_grouped")
}
CONTENDERS["exact with graphs"] = lambda words, *given: ours(
    [*words, "loop=accelerate", "speed.cuda_graphs=true"], *given
)
CONTENDERS |= {
    f"exact by oneDNN, padded to {multiple}": lambda words, *given, multiple=multiple: ours(
        [*words, "loop=accelerate", "speed.onednn_linear=true", f"speed.pad_to_multiple_of={multiple}"], *given
    )
    for multiple in ("null", "8", "16", "32", "64")
}
# speed=fast with one technique taken away: its share.
FAST = ["loop=accelerate", "speed=fast"]
LESS = {
    "without bf16": "precision=fp32",
    "without length_grouped": "batching=random",
    "without pooled_dropout": "speed.pooled_dropout=false",
    "without fused_gelu": "speed.fused_gelu=false",
    "without first_token_only": "speed.first_token_only=false",
    "without keep_embedding_gradients": "speed.keep_embedding_gradients=false",
    "without keep_memory": "speed.keep_memory=false",
    "without fused": "optimizer.fused=false",
    "without pad_to_multiple_of": "speed.pad_to_multiple_of=null",
    "with compile": "speed.compile=true",
    "fast without graphs": "speed.cuda_graphs=false",
    "fast, packed": "batching=packed",
}
CONTENDERS["fast with fused attention"] = fast_with_fused_attention
CONTENDERS |= {
    name: lambda words, *given, word=word: ours([*words, *FAST, word], *given) for name, word in LESS.items()
}
