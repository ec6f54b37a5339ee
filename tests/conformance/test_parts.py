"""Every part that can run on a CPU goes through both loops, and they agree at every step."""

from __future__ import annotations

import pytest
import torch

from exp.options.confdir import conf_dir
from exp.testing import promises
from exp.testing.loops import run_loop
from exp.testing.promises import same_events as same
from tests.tiny_models import KINDS, make_tiny

SHORT = ("num_train_epochs=1",)  # eleven batches; what a second epoch changes is told of every task


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def agree(folder, *words):
    return promises.both_loops_agree(folder, words)


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_trains_three_steps(kind, tmp_path, glue):
    folder = make_tiny(kind, tmp_path / kind)
    words = ["data=mrpc", f"data.path={glue}", "model=pretrained", f"model.path={folder}", "max_steps=3"]
    ours, _ = agree(tmp_path, *words)
    assert len(ours.of("train/loss")) == 3 and len(ours.of("eval/f1")) == 1


@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_every_optimizer(optimizer, tmp_path):
    name = ["optimizer.name=RAdam"] if optimizer == "by_name" else ["optimizer.weight_decay=0.01"]
    ours, _ = agree(tmp_path, f"optimizer={optimizer}", *name, *SHORT, "gradient_accumulation_steps=4")
    assert all(torch.isfinite(torch.tensor(value)) for _, _, value in ours.events)


@pytest.mark.parametrize("scheduler", options("scheduler"))
def test_every_scheduler(scheduler, tmp_path):
    name = ["scheduler.name=ConstantLR"] if scheduler == "by_name" else []
    ours, _ = agree(tmp_path, f"scheduler={scheduler}", *name, "gradient_accumulation_steps=2", "eval_strategy=no")
    assert len(ours.of("train/lr")) == 12


@pytest.mark.parametrize("adapter", options("adapter"))
def test_every_adapter(adapter, tmp_path, glue):
    folder = make_tiny("bert", tmp_path / "bert")
    words = [f"adapter={adapter}", "model=pretrained", f"model.path={folder}", "gradient_accumulation_steps=2", *SHORT]
    agree(tmp_path, "data=mrpc", f"data.path={glue}", "task.max_length=100", *words)


@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
def test_bf16_computes_in_bf16_and_keeps_fp32_weights(loop, tmp_path):
    full, _, _, _ = run_loop(tmp_path / "fp32", f"loop={loop}", *SHORT)
    half, _, parts, _ = run_loop(tmp_path / "bf16", f"loop={loop}", *SHORT, "precision=bf16")
    assert {parameter.dtype for parameter in parts.model.parameters()} == {torch.float32}
    losses = [value for _, value in half.of("train/loss")]
    assert losses != [value for _, value in full.of("train/loss")]
    assert losses == pytest.approx([value for _, value in full.of("train/loss")], rel=0.02)


def test_regression_learns_a_float(tmp_path, glue):
    folder = make_tiny("bert", tmp_path / "bert")
    words = ["data=stsb", f"data.path={glue}", "model=pretrained", f"model.path={folder}", *SHORT]
    ours, run = agree(tmp_path, *words)
    assert {key for _, key, _ in ours.events} >= {"eval/pearson", "eval/spearmanr", "eval/combined_score"}
    import pyarrow.parquet as pq

    rows = pq.read_table(run.predictions / "eval.parquet").to_pydict()
    assert len(rows["id"]) == 30 and all(isinstance(value, float) for value in rows["label"] + rows["prediction"])


def test_gradient_checkpointing_changes_no_number(tmp_path):
    plain, _ = agree(tmp_path / "plain", *SHORT)
    checkpointed, _ = agree(tmp_path / "checkpointed", *SHORT, "gradient_checkpointing=true")
    same(plain, checkpointed)


def test_evaluation_counts_every_example_once_whatever_the_batch(tmp_path):
    one, _, _, _ = run_loop(tmp_path / "a", *SHORT, "per_device_eval_batch_size=1")
    many, _, _, _ = run_loop(tmp_path / "b", *SHORT, "eval_max_tokens=700")
    same(one, many)
