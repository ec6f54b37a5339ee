from __future__ import annotations

import pytest
import torch

from exp.errors import ExpError
from exp.optim.muon import matrices
from tests.optim.test_optimizers import losses, tiny, two_groups
from tests.optim.test_options import make


def named(model, ids):
    return {name for name, p in model.named_parameters() if id(p) in ids}


def test_the_encoders_matrices_are_muons_and_the_rest_is_adamws():
    model = tiny()
    chosen = named(model, matrices(model))
    assert "bert.encoder.layer.0.attention.self.query.weight" in chosen and "bert.pooler.dense.weight" in chosen
    assert not [name for name in chosen if "embeddings" in name or "bias" in name or "LayerNorm" in name]
    assert "classifier.weight" not in chosen
    assert len(chosen) == 2 * 6 + 1


def test_it_steps_as_torchs_two():
    ours, theirs = tiny(), tiny()
    seen = losses(ours, make("optimizer", "muon", lr=1e-3, weight_decay=0.1)(ours))
    chosen = matrices(theirs)
    decaying, others = two_groups(theirs, 0.1)
    weights = [p for p in decaying["params"] if id(p) in chosen]
    rest = [{**group, "params": [p for p in group["params"] if id(p) not in chosen]} for group in (decaying, others)]
    muon = torch.optim.Muon(weights, lr=1e-3, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(rest, lr=1e-3)

    class Both:
        def step(self):
            muon.step()
            adamw.step()

        def zero_grad(self):
            muon.zero_grad()
            adamw.zero_grad()

    assert seen == losses(theirs, Both())


def test_a_scheduler_sees_the_groups_of_both():
    model = tiny()
    optimizer = make("optimizer", "muon", lr=1e-3, weight_decay=0.1)(model)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [5e-4] * 3


def test_a_model_without_matrices_is_refused():
    model = torch.nn.Linear(3, 2)
    model.weight.requires_grad = False
    with pytest.raises(ExpError, match="no trainable weight of the encoder is a matrix; take optimizer=adamw"):
        make("optimizer", "muon")(model)
