"""A bare encoder is one all over: what is meant for an encoder finds it there as it does under a head."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

from exp.model.drawn import redraw_top
from exp.model.mixout import add_mixout
from exp.optim.groups import depths
from exp.task.encoder import encoder_prefix
from tests.reading import option

CONFIG = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(params=["bert.", ""], ids=["under a head", "bare"])
def model(request):
    kind = BertForSequenceClassification if request.param else BertModel
    found = kind(BertConfig(vocab_size=20, **CONFIG))
    assert encoder_prefix(found) == request.param
    return found


def test_layers_are_numbered(model):
    found = {name.removeprefix("bert."): depth for name, depth in depths(model)[0].items()}
    names = ("embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.weight", "pooler.dense.weight")
    assert [found[name] for name in names] == [0, 2, 3]


def test_mixout_and_new_layers_find_it(model):
    assert any("layer.1." in name for name in redraw_top(model, 1))
    assert add_mixout(model, 0.5, frozenset()) == 2 * 6 + 1  # six of a layer, and the pooler's


def test_weights_are_pulled_to_their_start(model):
    weight = next(p for name, p in model.named_parameters() if name.endswith("layer.0.output.dense.weight"))
    start = weight.detach().clone()
    optimizer = option("optimizer", "sgd", lr=0.1, momentum=0.0, decay_to_init=0.5)(model)
    with torch.no_grad():
        weight.add_(1.0)
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert torch.allclose(weight, start + 0.95, atol=1e-5)
