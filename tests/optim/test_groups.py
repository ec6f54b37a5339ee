from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForSequenceClassification, Trainer

from exp.errors import ExpError
from exp.optim.groups import decays, depths, parameter_groups
from tests.tiny_models import KINDS, make_tiny


@pytest.fixture(scope="module", params=KINDS)
def model(request, tmp_path_factory):
    folder = make_tiny(request.param, tmp_path_factory.mktemp(request.param), labels=("no", "yes"))
    return AutoModelForSequenceClassification.from_pretrained(folder)


def test_the_same_parameters_decay_as_in_the_trainer(model):
    assert decays(model) == set(Trainer.get_decay_parameter_names(None, model))


def test_without_layer_decay_there_are_the_trainers_two_groups(model):
    first, second = parameter_groups(model, 1e-3, 0.01, 1.0)
    assert (first["weight_decay"], second["weight_decay"]) == (0.01, 0.0)
    assert first["lr"] == second["lr"] == 1e-3
    decaying = decays(model)
    assert [id(p) for p in first["params"]] == [id(p) for n, p in model.named_parameters() if n in decaying]
    assert len(first["params"]) + len(second["params"]) == len(list(model.parameters()))


def test_layer_decay_follows_electras_numbers(model):
    rates = {}
    for group in parameter_groups(model, 1.0, 0.01, 0.8):
        rates |= {id(p): group["lr"] for p in group["params"]}
    deepest = 2 + 2  # two layers: embeddings at 0, layers at 1 and 2, head at 4
    prefix = model.base_model_prefix + "."
    for name, p in model.named_parameters():
        if not name.startswith(prefix):
            depth = 4
        elif ".layer.0." in name or ".layers.0." in name:
            depth = 1
        elif ".layer.1." in name or ".layers.1." in name:
            depth = 2
        elif (
            "embeddings" in name
            or name == "deberta.encoder.LayerNorm.weight"
            or name == "deberta.encoder.LayerNorm.bias"
        ):
            depth = 0
        else:
            assert "pooler" in name or "final_norm" in name, name
            depth = 3
        assert rates[id(p)] == pytest.approx(0.8 ** (deepest - depth)), name


def test_the_first_group_has_the_full_rate(model):
    groups = parameter_groups(model, 2e-5, 0.01, 0.5)
    assert groups[0]["lr"] == 2e-5
    assert [g["lr"] for g in groups] == sorted((g["lr"] for g in groups), reverse=True)


def test_frozen_parameters_are_left_out():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    model[0].requires_grad_(False)
    (group,) = parameter_groups(model, 1e-3, 0.1, 1.0)
    assert group["weight_decay"] == 0.0 and len(group["params"]) == 2
    model[1].requires_grad_(False)
    with pytest.raises(ExpError, match="no trainable parameter"):
        parameter_groups(model, 1e-3, 0.1, 1.0)


def test_layer_decay_needs_layers():
    with pytest.raises(ExpError, match="layer_decay"):
        depths(torch.nn.Linear(2, 2))


def test_groups_of_ones_own_have_their_rates(model):
    own = [{"pattern": "layers?.1", "lr": 0.5}, {"pattern": "bias", "weight_decay": 0.3}]
    groups = parameter_groups(model, 1.0, 0.01, 0.8, own)
    rates = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    plain = {id(p): (g["lr"], g["weight_decay"]) for g in parameter_groups(model, 1.0, 0.01, 0.8) for p in g["params"]}
    for name, p in model.named_parameters():
        lr, decay = plain[id(p)]
        if ".layer.1." in name or ".layers.1." in name:
            assert rates[id(p)] == (0.5, decay)
        elif "bias" in name:
            assert rates[id(p)] == (lr, 0.3)
        else:
            assert rates[id(p)] == (lr, decay)
    with pytest.raises(ExpError, match=r"optimizer.groups: pattern='nowhere'"):
        parameter_groups(model, 1.0, 0.0, 1.0, [{"pattern": "nowhere", "lr": 1.0}])
