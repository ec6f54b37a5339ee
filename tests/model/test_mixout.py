from __future__ import annotations

import pytest
import torch

from exp.model.mixout import MixoutLinear
from tests.model.test_pretrained import load
from tests.tiny_models import make_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny("bert", tmp_path_factory.mktemp("bert"))


def test_a_weight_is_the_pretrained_one_or_moved_so_that_the_mean_stays():
    layer = torch.nn.Linear(50, 40)
    start = layer.weight.detach().clone()
    layer.__class__ = MixoutLinear
    layer.mixout = 0.7
    layer.register_buffer("pretrained", start, persistent=False)
    with torch.no_grad():
        layer.weight.add_(1.0)
    torch.manual_seed(0)
    seen = layer.train()(torch.eye(50)).T - layer.bias[:, None] - start  # what was used, less the pretrained weight
    chosen = seen.abs() > 1e-5
    assert torch.allclose(seen[chosen], torch.full_like(seen[chosen], 1 / 0.3), atol=1e-4)
    assert chosen.float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert torch.allclose(layer.eval()(torch.eye(50)).T - layer.bias[:, None], layer.weight, atol=1e-6)


def test_the_encoder_is_mixed_the_head_is_not_and_the_saved_model_is_plain(folder, tmp_path):
    plain, mixed = load(folder), load(folder, mixout=0.5)
    kinds = {name: type(m) for name, m in mixed.named_modules() if isinstance(m, torch.nn.Linear)}
    assert kinds.pop("classifier") is torch.nn.Linear
    assert set(kinds.values()) == {MixoutLinear} and len(kinds) == 2 * 6 + 1
    assert plain.state_dict().keys() == mixed.state_dict().keys()
    ids = torch.arange(8)[None]
    # Untouched weights are the pretrained ones, so mixing changes nothing yet.
    assert torch.allclose(plain.eval()(ids).logits, mixed.eval()(ids).logits)
    mixed.save_pretrained(tmp_path)
    again = type(plain).from_pretrained(tmp_path)
    assert all(type(m) is not MixoutLinear for m in again.modules())


def test_layers_drawn_anew_have_nothing_to_fall_back_to(folder):
    mixed = load(folder, mixout=0.5, reinit_layers=1)
    kinds = {name: type(m) for name, m in mixed.named_modules()}
    assert kinds["bert.encoder.layer.0.attention.self.query"] is MixoutLinear
    assert kinds["bert.encoder.layer.1.attention.self.query"] is torch.nn.Linear
    assert kinds["bert.pooler.dense"] is torch.nn.Linear
