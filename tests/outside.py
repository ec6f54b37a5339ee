"""A project folder with a package of its own: a part of every kind that no config of exp knows."""

from __future__ import annotations

from pathlib import Path

CODE = {
    "heads.py": '''
import torch
from torch import nn
from transformers import BertForSequenceClassification


class Mean(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(config.hidden_size))  # no layer of torch: nobody else draws it
        self.output = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, hidden, mask):
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return self.output((hidden * weights).sum(1) / weights.sum(1) * self.scale)


class PerToken(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.output = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, hidden, mask):
        return self.output(hidden)


class Whole(BertForSequenceClassification):
    """A PreTrainedModel of one's own."""

    def __init__(self, config):
        super().__init__(config)
        self.extra = nn.Linear(config.num_labels, config.num_labels, bias=False)
        self.post_init()


def made(config):
    return Whole(config)


def not_a_model(config):
    return nn.Linear(2, 2)


def wants_more(config, width):
    return Whole(config)


class WantsMore(nn.Module):
    def __init__(self, config, width):
        super().__init__()
''',
    "rules.py": """
from dataclasses import dataclass


@dataclass(frozen=True)
class SlowStart:
    first_step: int
    remedies = ("warm up for fewer steps",)

    def __call__(self, curve, facts, limits):
        loss = curve.get("eval/loss")
        return (loss.steps[0], ("the first evaluation came late",)) if loss.steps[0] >= self.first_step else None


class Broken:
    remedies = ()

    def __call__(self, curve, facts, limits):
        raise RuntimeError("a bug")


broken = Broken()


def never(curve, facts, limits):
    return None
""",
    "views.py": """
from exp.analysis.table import Column, Table


def counts(plan, found):
    rows = tuple((one.row, one.column, str(one.n)) for one in found)
    columns = tuple(Column(key, key, "text") for key in ("row", "column", "runs"))
    return [Table("runs in each cell", columns, rows, frozenset(), ())]
""",
    "tracker.py": '''
from dataclasses import dataclass

from exp.tracker.base import NullTracker


@dataclass(frozen=True)
class Lines(NullTracker):
    """Every call as a line of a file."""

    file: str

    def start(self, run):
        self._write(f"start {run.id}")

    def log(self, metrics, *, step, epoch):
        self._write(f"log {step} {sorted(metrics)}")

    def finish(self, status):
        self._write(f"finish {status}")

    def _write(self, line):
        with open(self.file, "a") as file:
            print(line, file=file)
''',
    "search.py": """
import optuna


class Everything(optuna.pruners.BasePruner):
    def prune(self, study, trial):
        return True


class Lowest(optuna.samplers.RandomSampler):
    pass
""",
}
OPTIONS = {
    "model/mean.yaml": "defaults: [own_tiny]\nmake: acme.heads.Mean\nhidden_size: 16\nintermediate_size: 32\n",
    "tracker/lines.yaml": "# @package tracker.lines\n_target_: acme.tracker.Lines\nfile: lines.txt\n",
    "view/counts.yaml": "_target_: acme.views.counts\n",
}


def project(folder: Path, conf: str = "acme/conf") -> Path:
    """`folder` as a project that trusts its package `acme`; its options lie in `conf`."""
    (folder / "acme").mkdir(parents=True)
    (folder / "acme" / "__init__.py").write_text("")
    for name, text in CODE.items():
        (folder / "acme" / name).write_text(text)
    for name, text in OPTIONS.items():
        option(folder, name, text, conf)
    (folder / "pyproject.toml").write_text("[tool.exp]\ntrust = ['acme']\n")
    return folder


def option(folder: Path, name: str, text: str, conf: str = "acme/conf") -> None:
    path = folder / conf / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
