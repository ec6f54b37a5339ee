"""What our one subclass of Trainer leans on; each test notices when transformers changes it."""

from __future__ import annotations

import inspect

import pytest
from transformers import Trainer, TrainingArguments

from exp.loop.hf_trainer import SharedTrainer
from exp.testing.loops import config_of, parts_of, run_loop

WORDS = ("gradient_accumulation_steps=4", "max_steps=1", "max_grad_norm=0")


def own_methods() -> list[str]:
    return [name for name, value in vars(SharedTrainer).items() if inspect.isfunction(value)]


@pytest.mark.parametrize("name", own_methods())
def test_every_override_still_overrides_something_with_its_signature(name):
    assert hasattr(Trainer, name), f"Trainer has no {name} any more: nothing calls ours"
    theirs = list(inspect.signature(getattr(Trainer, name)).parameters)
    assert theirs == list(inspect.signature(getattr(SharedTrainer, name)).parameters)
    assert inspect.getdoc(getattr(SharedTrainer, name)), "an override gives its reason"


def test_stock_trainer_still_gets_accumulation_wrong(tmp_path):
    """When this fails, transformers has mended it, and model_accepts_loss_kwargs = False can go (loop/_trainer.py)."""
    parts = parts_of(config_of(*WORDS))
    arguments = TrainingArguments(
        str(tmp_path / "stock"),
        max_steps=1,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=4,
        logging_steps=1,
        disable_tqdm=True,
        use_cpu=True,
    )
    stock = Trainer(model=parts.model, args=arguments, train_dataset=parts.encoded.train, data_collator=parts.collator)
    stock.train()
    logged = next(entry["loss"] for entry in stock.state.log_history if "loss" in entry)
    recorder, _, _, _ = run_loop(tmp_path / "ours", "loop=trainer", *WORDS)
    [(_, ours)] = recorder.of("train/loss")
    assert ours == pytest.approx(0.693, abs=0.05)  # ln 2: nothing is learned yet
    assert logged == pytest.approx(4 * ours, rel=0.05)
