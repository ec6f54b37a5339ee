"""What goes wrong while a run trains: bad losses, too little memory, a full disk, damaged checkpoints."""

from __future__ import annotations

import logging
import math
import os

import pytest
import torch

from exp.data.collate import Collator
from exp.errors import ExpError
from exp.loop import checkpoint as checkpoints
from exp.loop.bad_loss import BadLoss
from exp.loop.trial import NoTrial
from exp.run.events import read_events
from exp.run.folder import create, read_record
from exp.testing.loops import config_of
from exp.tracker.jsonl import JsonlTracker
from exp.training.fit import fit

LOOPS = ("trainer", "accelerate")


def fitted(folder, *words):
    from hydra.utils import execution_whitelist

    from exp.options.trust import whitelist

    folder.mkdir(exist_ok=True)
    config = config_of(*words)
    run, tracker = create(folder, config), JsonlTracker()
    tracker.start(run)
    with execution_whitelist(whitelist()):
        parts, result = fit(config, run, tracker, NoTrial())
    return run, parts, result


@pytest.mark.parametrize("loop", LOOPS)
def test_too_little_memory_halves_the_batch_and_keeps_the_steps(loop, tmp_path, monkeypatch, caplog):
    small = Collator.__call__

    def collate(self, rows):
        if len(rows) > 2 and "labels" in rows[0] and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return small(self, rows)

    words = [f"loop={loop}", "per_device_eval_batch_size=2", "save_strategy=steps", "save_steps=3"]
    run, _, _ = fitted(tmp_path / "whole", *words, "per_device_train_batch_size=1", "gradient_accumulation_steps=4")
    whole = [event.step for event in read_events(run.metrics_path)]
    monkeypatch.setattr(Collator, "__call__", collate)
    with caplog.at_level(logging.WARNING):
        run, parts, result = fitted(tmp_path / "small", *words, "auto_find_batch_size=true")
    assert result.status == "completed" and parts.settings.per_device_train_batch_size == 2
    assert read_record(run.folder)["auto_batch"] == {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
    }
    assert "going on with per_device_train_batch_size=2 gradient_accumulation_steps=2" in caplog.text
    assert [event.step for event in read_events(run.metrics_path)] == whole  # the batch of a step kept its size
    with pytest.raises(ExpError, match=r"out of memory \(CUDA out of memory.\): lower per_device_train_batch_size"):
        fitted(tmp_path / "not_asked", *words)


@pytest.fixture
def poison(monkeypatch):
    """Makes the loss of the n-th training batch NaN, counted from 1."""

    def at(*numbers):
        from transformers import BertForSequenceClassification

        forward, count = BertForSequenceClassification.forward, 0

        def spoiled(self, *args, **kwargs):
            nonlocal count
            output = forward(self, *args, **kwargs)
            if self.training:
                count += 1
                if count in numbers:
                    output.loss = output.loss * math.nan
            return output

        monkeypatch.setattr(BertForSequenceClassification, "forward", spoiled)

    return at


@pytest.mark.parametrize("loop", LOOPS)
def test_a_nan_stops_the_run_and_leaves_the_good_checkpoint(loop, tmp_path, poison):
    poison(8)
    words = [f"loop={loop}", "save_strategy=steps", "save_steps=5"]
    with pytest.raises(ExpError, match=r"the loss is nan at step 8 at learning rate .*lower optimizer.lr"):
        fitted(tmp_path / "run", *words)
    kept = checkpoints.newest_good(tmp_path / "run" / "checkpoints")
    assert kept is not None and kept.step == 5


@pytest.mark.parametrize("loop", LOOPS)
def test_a_bad_batch_is_skipped_and_the_weights_stay_good(loop, tmp_path, poison):
    poison(8)
    run, parts, result = fitted(tmp_path / "run", f"loop={loop}", "on_bad_loss=skip")
    assert result.status == "completed"
    assert all(torch.isfinite(value).all() for value in parts.model.parameters())
    losses = [e.metrics["train/loss"] for e in read_events(run.metrics_path) if "train/loss" in e.metrics]
    assert [step for step, loss in enumerate(losses, 1) if math.isnan(loss)] == [8]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_rewind_puts_the_checkpoints_weights_back(loop, tmp_path, poison, caplog):
    poison(8)
    words = [f"loop={loop}", "on_bad_loss=rewind", "save_strategy=steps", "save_steps=5", "max_steps=8"]
    with caplog.at_level(logging.WARNING):
        run, parts, _ = fitted(tmp_path / "run", *words)
    assert "weights and optimizer are back at step 5" in caplog.text
    from safetensors.torch import load_file

    saved = load_file(run.checkpoints / "step-000005" / "weights.safetensors")
    assert all(torch.equal(saved[name], value) for name, value in parts.model.named_parameters())


def test_a_rewind_without_a_checkpoint_says_so(tmp_path, poison):
    poison(2)
    words = ["on_bad_loss=rewind", "save_strategy=steps", "save_steps=5"]
    with pytest.raises(ExpError, match="found no checkpoint to go back to"):
        fitted(tmp_path / "run", *words)


def test_a_spike_is_bad_and_a_hard_batch_is_not():
    judge = BadLoss("skip", "cpu")
    for step in range(60):
        assert judge.judge(torch.tensor(0.5 + 0.1 * (step % 3)), step, 1e-5) == "keep"
    assert judge.judge(torch.tensor(1.0), 61, 1e-5) == "keep"
    assert judge.judge(torch.tensor(30.0), 62, 1e-5) == "skip"
    assert BadLoss("stop", "cpu").judge(torch.tensor(30.0), 62, 1e-5) == "keep"


def test_on_a_gpu_a_bad_loss_is_read_one_step_late_and_before_anything_is_kept():
    judge = BadLoss("stop", "cuda")
    assert judge.judge(torch.tensor(1.0), 1, 1e-5) == "keep"
    assert judge.judge(torch.tensor(math.nan), 2, 2e-5) == "keep"
    with pytest.raises(ExpError, match=r"nan at step 2 at learning rate 2e-05"):
        judge.judge(torch.tensor(1.0), 3, 3e-5)
    assert judge.judge(torch.tensor(math.inf), 4, 4e-5) == "keep"
    with pytest.raises(ExpError, match="inf at step 4"):
        judge.settle()
    judge.settle()  # told once


def test_ten_bad_steps_in_a_row_end_the_run_all_the_same():
    judge = BadLoss("skip", "cpu")
    for step in range(9):
        assert judge.judge(torch.tensor(math.nan), step, 1e-5) == "skip"
    with pytest.raises(ExpError, match="the loss is nan"):
        judge.judge(torch.tensor(math.nan), 10, 1e-5)


def saved(folder, step, best=None):
    model = torch.nn.Linear(3, 2)
    torch.nn.init.constant_(model.weight, step)
    found = checkpoints.save(folder, {"step": step}, checkpoints.weights_of(model), {"optimizer": {}})
    checkpoints.link(folder, step, best)
    return found, model


def test_a_damaged_checkpoint_is_passed_over_by_name(tmp_path, caplog):
    saved(tmp_path, 10)
    newer, _ = saved(tmp_path, 20)
    weights = newer.path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with caplog.at_level(logging.WARNING):
        found = checkpoints.newest_good(tmp_path)
    assert found is not None and found.step == 10
    assert "step-000020 is damaged (weights.safetensors does not match its checksum)" in caplog.text
    assert "step-000010" in caplog.text
    os.truncate(found.path / "training.pt", 10)
    assert checkpoints.newest_good(tmp_path) is None


def test_the_best_checkpoint_and_the_newest_are_never_deleted(tmp_path):
    saved(tmp_path, 1, best=1)
    for step in (2, 3, 4):
        saved(tmp_path, step)
        checkpoints.prune(tmp_path, 1, best_step=1)
    assert [found.step for found in checkpoints.all_checkpoints(tmp_path)] == [1, 4]
    assert (tmp_path / "best").resolve().name == "step-000001"
    assert (tmp_path / "latest").resolve().name == "step-000004"


def test_a_full_disk_leaves_the_old_checkpoint_and_says_so(tmp_path, monkeypatch):
    saved(tmp_path, 1)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "_sync", full)
    with pytest.raises(ExpError, match=r"cannot save the checkpoint of step 2 .*No space left on device"):
        saved(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "latest", "step-000001"][1:]
    assert checkpoints.newest_good(tmp_path).step == 1


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    found, _ = saved(tmp_path, 1)
    with pytest.raises(ExpError, match="checkpoint of another model"):
        checkpoints.load_weights(found, torch.nn.Linear(4, 2))


def test_loading_runs_no_code(tmp_path):
    found, _ = saved(tmp_path, 1)

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "pwned"),))

    torch.save({"optimizer": Evil()}, found.path / "training.pt")
    with pytest.raises(ExpError, match=r"training.pt cannot be read"):
        checkpoints.load_training(found)
    assert not (tmp_path / "pwned").exists()
