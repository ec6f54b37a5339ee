from __future__ import annotations

import pytest
import torch

from exp.errors import ExpError
from exp.optim.averaging import EmaAveraging, NoAveraging, OptimizersAverage, average_of
from exp.testing.loops import run_loop
from tests.optim.test_optimizers import losses, tiny, two_groups
from tests.optim.test_options import make

pytest.importorskip("schedulefree", reason="the extra optimizers is not installed")


def test_it_steps_as_the_package():
    from schedulefree import AdamWScheduleFree

    ours, theirs = tiny(), tiny()
    seen = losses(ours, make("optimizer", "schedule_free", lr=1e-3, weight_decay=0.1)(ours))
    reference = AdamWScheduleFree(two_groups(theirs, 0.1), lr=1e-3)
    reference.train()
    assert seen == losses(theirs, reference)


def test_its_average_is_evaluated_and_training_goes_on_from_the_same_bits():
    model = tiny()
    optimizer = make("optimizer", "schedule_free", lr=1e-2)(model)
    average = average_of(NoAveraging(), model, optimizer, 10, 5)
    assert isinstance(average, OptimizersAverage)
    losses(model, optimizer, 3)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with average.evaluated():
        inside = {name: p.detach().clone() for name, p in model.named_parameters()}
    assert any(not torch.equal(inside[name], before[name]) for name in before)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    kept = average.state()["averages"]
    average.install()
    assert all(torch.equal(p, inside[name]) and torch.equal(p, kept[name]) for name, p in model.named_parameters())


def test_two_averages_are_refused():
    model = tiny()
    optimizer = make("optimizer", "schedule_free")(model)
    with pytest.raises(ExpError, match="averages the weights itself; set averaging=none"):
        average_of(EmaAveraging(0.9), model, optimizer, 10, 5)


@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
def test_a_cut_run_ends_as_one_that_never_was(loop, tmp_path):
    recipe = [f"loop={loop}", "optimizer=schedule_free", "optimizer.lr=1e-3", "save_strategy=steps", "save_steps=4"]
    recipe += ["save_total_limit=null", "load_best_model_at_end=true", "eval_strategy=steps", "eval_steps=4"]
    whole, _, parts, _ = run_loop(tmp_path / "whole", *recipe)
    (tmp_path / "cut" / "checkpoints").mkdir(parents=True)
    for step in (4, 8):
        kept = tmp_path / "whole" / "checkpoints" / f"step-{step:06d}"
        kept.rename(tmp_path / "cut" / "checkpoints" / kept.name)
    resumed, _, again, _ = run_loop(tmp_path / "cut", *recipe)
    assert resumed.events == [event for event in whole.events if event[0] > 8]
    own, their = parts.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(own[key], their[key]) for key in own)
