"""A project with a part of every kind, over what `exp init` makes (optimizer, loss, data, metric, head, callback)."""

from __future__ import annotations

from pathlib import Path

from tests import outside

CODE = {
    "schedules.py": """
def two_rates(optimizer, total_steps, greater_is_better, share):
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimizer, lambda step: 1.0 if step < share * total_steps else 0.1)
""",
    "adapters.py": '''
from dataclasses import dataclass

from exp.model.adapter import NoAdapter


@dataclass(frozen=True)
class Highest(NoAdapter):
    """The embeddings of positions stay as they are."""

    def apply(self, model, total_steps, peft_task):
        for name, weight in model.named_parameters():
            weight.requires_grad_("position" not in name)
        return model
''',
    "tasks.py": '''
from dataclasses import dataclass

from exp.errors import ExpError
from exp.task.text_classification import TextClassification


@dataclass(frozen=True)
class Triage(TextClassification):
    """Every queue has messages."""

    least: int

    def read(self, raw):
        data = super().read(raw)
        for queue, name in enumerate(data.labels):
            if data.train.targets.count(queue) < self.least:
                raise ExpError(f"task.least={self.least}: fewer messages are for {name}")
        return data
''',
    "death.py": '''
import os
import signal
from dataclasses import dataclass

from transformers import TrainerCallback


@dataclass(frozen=True)
class Death:
    """The process is gone at the step that LAB_DEATH names, as by the kernel's hand."""

    def make(self):
        return DeathCallback()


class DeathCallback(TrainerCallback):
    def on_step_end(self, args, state, control, **rest):
        if state.global_step == int(os.environ.get("LAB_DEATH", 0)):
            os.kill(os.getpid(), signal.SIGKILL)
''',
    "search.py": """
import optuna


class OddOnes(optuna.pruners.BasePruner):
    def prune(self, study, trial):
        return trial.number % 2 == 1


class Drawn(optuna.samplers.RandomSampler):
    pass
""",
}
OPTIONS = {
    "scheduler/two_rates.yaml": "_target_: lab.schedules.two_rates\n_partial_: true\nshare: 0.5\n",
    "adapter/highest.yaml": "_target_: lab.adapters.Highest\n",
    "task/triage.yaml": "defaults: [text_classification]\n_target_: lab.tasks.Triage\nleast: 10\n",
    "tracker/lines.yaml": "# @package tracker.lines\n_target_: lab.tracker.Lines\nfile: lines.txt\n",
    "callbacks/death.yaml": "# @package callbacks.death\n_target_: lab.death.Death\n",
    "hydra/sweeper/pruner/odd_ones.yaml": "_target_: lab.search.OddOnes\n",
    "hydra/sweeper/sampler/drawn.yaml": "_target_: lab.search.Drawn\nseed: 1\n",
    "verdict/slow_start.yaml": "_target_: lab.rules.SlowStart\nfirst_step: 12\n",
    "view/counts.yaml": "_target_: lab.views.counts\n",
    "experiment/all.yaml": """# @package _global_
defaults:
  - baseline
  - override /task: triage
  - override /scheduler: two_rates
  - override /adapter: highest
  - override /tracker: [lines]
  - override /callbacks: [weight_norm, death]
data: {train_size: 400, eval_size: 60}
model: {hidden_size: 64, intermediate_size: 64, num_hidden_layers: 1}
optimizer: {lr: 3e-3}
max_steps: 48
logging_steps: 4
eval_strategy: steps
eval_steps: 12
save_strategy: steps
save_steps: 12
""",
    "table/mine.yaml": """title: Two optimizers
source: {paper: none, table: none, split: dev}
split: dev
aggregate: mean
seeds: [1, 2]
overrides: [experiment=all]
rows:
  Lion: {overrides: []}
  AdamW: {overrides: [optimizer=adamw]}
columns:
  Tickets: {overrides: [], metric: accuracy}
published:
  Lion: {Tickets: 0.5}
""",
}


def fill(folder: Path) -> None:
    """Adds to the project `lab` in `folder` what exp init has not given it."""
    shared = {name: outside.CODE[name] for name in ("rules.py", "views.py", "tracker.py")}
    for name, text in {**shared, **CODE}.items():
        (folder / "lab" / name).write_text(text)
    for name, text in OPTIONS.items():
        outside.option(folder, name, text, "conf")
