"""Settings that hold for every task: saving memory, adapters, stopping early, the best weights by the task's metric."""

from __future__ import annotations

import math

import pytest
import torch
import transformers

from exp.loop.outputs import save_model
from exp.testing.loops import run_loop
from tests.conformance.task_data import TASKS
from tests.conformance.test_tasks import words  # noqa: F401

FEW = ["data.max_train_samples=16", "data.max_eval_samples=6", "max_steps=4", "optimizer.lr=2e-2"]
SAVING = ["eval_strategy=steps", "eval_steps=1", "save_strategy=steps", "save_steps=1", "load_best_model_at_end=true"]
MEMORY = ["adapter=lora", "precision=bf16", "gradient_checkpointing=true"]


@pytest.mark.parametrize("task", TASKS)
def test_lora_in_bf16_stops_early_and_the_best_weights_are_merged(task, words, tmp_path):  # noqa: F811
    asked = [*FEW, *SAVING, *MEMORY, "early_stopping_patience=1"]
    recorder, result, parts, run = run_loop(tmp_path, *words[task], *asked)
    assert all(math.isfinite(loss) for _, loss in recorder.of("train/loss"))
    assert any(getattr(module, "gradient_checkpointing", False) for module in parts.model.modules())
    # By hand: the first evaluation that is no better ends the run.
    name = f"eval/{parts.reading.names[0]}"
    curve, best = recorder.of(name), None
    for step, value in curve:
        if best is not None and not (value > best[1] if parts.plan.greater_is_better else value < best[1]):
            break
        best = (step, value)
    assert result.objective == {"name": name, "value": best[1], "step": best[0]}
    assert step == curve[-1][0] and result.saved_step == best[0]
    assert result.stopped_early or step == 4
    # What is saved is a plain model, and its numbers are the adapted one's.
    save_model(parts, run, result)
    head = parts.task.head(parts.data)
    plain = getattr(transformers, head.auto_class).from_pretrained(run.model_folder).eval()
    head.prepare(plain, parts.processor)
    batch = parts.collator([parts.encoded.evals[""][row] for row in range(2)])
    parts.model.eval()
    with torch.no_grad():
        one, other = (parts.loss(model, batch).item() for model in (plain, parts.model))
    assert one == pytest.approx(other, rel=0.1)  # the other computes in bf16, and some losses multiply cosines by 20
