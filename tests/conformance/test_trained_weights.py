"""What is trained and what is kept: frozen weights, rates by pattern, averages. The same in both loops, and resumed."""

from __future__ import annotations

import pytest
import torch
from transformers import TrainerCallback

from exp.errors import ExpError
from exp.run.folder import read_record
from exp.testing.loops import config_of, parts_of, plain_evaluation, run_loop
from tests.conformance.test_callbacks import train
from tests.conformance.test_loop_parity import same

RECIPES = {
    "pattern": ["freeze=pattern", "freeze.frozen=[embeddings,layer.0]", "freeze.but=[LayerNorm]"],
    "layers": ["freeze=layers", "freeze.count=1"],
    "gradual": ["freeze=gradual", "freeze.steps=2"],
    "gradual_lora": ["freeze=gradual", "freeze.steps=2", "adapter=lora"],
    "groups": ["optimizer.groups=[{pattern:classifier,lr:1e-2},{pattern:layer.1,weight_decay:0.5}]"],
    "ema": ["averaging=ema", "averaging.decay=0.7", "load_best_model_at_end=true", "metric_for_best_model=loss"],
    "swa": ["averaging=swa", "averaging.start=0.3", "averaging.every=1"],
}
SAID = ["gradient_accumulation_steps=2", "save_strategy=steps", "save_steps=3", "save_total_limit=null"]


def equal(one, two, exact):
    own, other = one.model.state_dict(), two.model.state_dict()
    close = torch.equal if exact else lambda a, b: torch.allclose(a, b, rtol=1e-6, atol=1e-7)
    return all(close(own[key], other[key]) for key in own)


@pytest.mark.parametrize("recipe", RECIPES)
def test_both_loops_agree_and_a_cut_run_ends_as_the_whole_one(recipe, tmp_path):
    said = [*RECIPES[recipe], *SAID]
    ours, result, parts, _ = run_loop(tmp_path / "whole", "loop=accelerate", *said)
    theirs, _, others, _ = run_loop(tmp_path / "trainer", "loop=trainer", *said)
    same(ours, theirs)
    assert equal(parts, others, exact=False)
    for loop, whole, end in (("accelerate", "whole", parts), ("trainer", "trainer", others)):
        cut = tmp_path / f"cut-{loop}" / "checkpoints"
        cut.mkdir(parents=True)
        (tmp_path / whole / "checkpoints" / "step-000003").rename(cut / "step-000003")
        resumed, again, resumed_parts, _ = run_loop(cut.parent, f"loop={loop}", *said)
        assert resumed.events == [event for event in (ours if loop == "accelerate" else theirs).events if event[0] > 3]
        assert equal(end, resumed_parts, exact=True) and again.objective == result.objective


def moved(words, steps):
    """Names of the weights that change."""
    start = parts_of(config_of(*words)).model.state_dict()
    _, _, parts, _ = run_loop(steps[0], *words, f"max_steps={steps[1]}")
    return {name for name, value in parts.model.state_dict().items() if not torch.equal(value, start[name])}


def test_frozen_weights_stay_as_they_are(tmp_path):
    layers = moved(["freeze=layers", "freeze.count=1", "optimizer.weight_decay=0.1"], (tmp_path / "a", 3))
    assert layers and not any("embeddings" in name or "layer.0." in name for name in layers)
    assert any("layer.1." in name for name in layers)
    pattern = moved(RECIPES["pattern"], (tmp_path / "b", 3))
    assert any("layer.0" in name and "LayerNorm" in name for name in pattern)
    assert not any(("embeddings" in name or "layer.0" in name) and "LayerNorm" not in name for name in pattern)


def test_gradual_unfreezing_starts_at_the_head(tmp_path):
    words = [*RECIPES["gradual"], "optimizer.weight_decay=0.1"]
    head = moved(words, (tmp_path / "a", 2))
    assert head and not any(".layer." in name or "embeddings" in name for name in head)
    assert {name.split("layer.")[1][0] for name in moved(words, (tmp_path / "b", 4)) if ".layer." in name} == {"1"}
    everything = moved(words, (tmp_path / "c", 8))
    assert any("embeddings" in name for name in everything)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["freeze=layers", "freeze.count=9"], r"freeze.count=9 is more than the 2 layers"),
        (["freeze=pattern", "freeze.frozen=[embedings]"], r"freeze.frozen: 'embedings' .*did you mean 'embeddings'"),
        (["optimizer.groups=[{pattern:clasifier,lr:1}]"], r"optimizer.groups: pattern='clasifier' .*'classifier'"),
        (["averaging=swa", "max_steps=2"], r"averaging.every=11 leaves no step to average: the run has 2"),
    ],
)
def test_what_does_not_fit_the_model_is_told(words, said, tmp_path):
    with pytest.raises(ExpError, match=said):
        run_loop(tmp_path, *words)


class Snapshots(TrainerCallback):
    def __init__(self):
        self.weights = []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.weights.append({name: value.detach().clone() for name, value in model.named_parameters()})


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_the_average_is_evaluated_and_saved_and_said(kind, tmp_path):
    words = [*RECIPES[kind], "load_best_model_at_end=false", "optimizer.lr=1e-3", "num_train_epochs=1"]
    snapshots = Snapshots()
    recorder, _, parts = train(tmp_path, {"snapshots": snapshots}, *words)
    steps = snapshots.weights
    if kind == "ema":
        expected = dict(steps[0])
        for weights in steps[1:]:
            expected = {name: 0.7 * value + 0.3 * weights[name] for name, value in expected.items()}
    else:
        late = [weights for step, weights in enumerate(steps, start=1) if step >= 0.3 * len(steps)]
        expected = {name: sum(weights[name] for weights in late) / len(late) for name in late[0]}
    found = dict(parts.model.named_parameters())
    assert all(torch.allclose(found[name], value, atol=1e-6) for name, value in expected.items())
    assert not torch.allclose(found["classifier.weight"], steps[-1]["classifier.weight"], atol=1e-5)
    assert plain_evaluation(parts)["eval/loss"] == pytest.approx(recorder.of("eval/loss")[-1][1], rel=1e-5)
    said = read_record(tmp_path)["averaging"]
    assert said["evaluated"] == said["saved"] == kind and said["averaged"] == (
        len(steps) if kind == "ema" else len(late)
    )


def test_the_best_average_is_loaded_at_the_end(tmp_path):
    words = [*RECIPES["ema"], "optimizer.lr=3e-2", "num_train_epochs=4", "eval_strategy=steps", "eval_steps=4"]
    recorder, result, parts, _ = run_loop(tmp_path, *words)
    assert result.saved_step < 44
    best = dict(recorder.of("eval/loss"))[result.saved_step]
    assert plain_evaluation(parts)["eval/loss"] == pytest.approx(best, rel=1e-5)
