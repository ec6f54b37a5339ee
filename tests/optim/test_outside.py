from __future__ import annotations

import sys

import pytest

from exp.errors import ExpError
from exp.optim.outside import OutsideOptimizer
from tests.optim.test_optimizers import losses, tiny, two_groups

pytest.importorskip("pytorch_optimizer", reason="the extra optimizers is not installed")


def made(name: str, **changes) -> OutsideOptimizer:
    plain = {"lr": 1e-3, "weight_decay": 0.0, "layer_decay": 1.0, "decay_to_init": 0.0, "options": {}}
    return OutsideOptimizer(**{**plain, "name": name, **changes})


@pytest.mark.parametrize("name", ["Lion", "AdEMAMix", "SOAP", "Adan", "GaLore"])
def test_an_option_steps_as_the_class(name):
    import pytorch_optimizer

    ours, theirs = tiny(), tiny()
    seen = losses(ours, made(name, weight_decay=0.1)(ours))
    assert seen == losses(theirs, getattr(pytorch_optimizer, name)(two_groups(theirs, 0.1), lr=1e-3))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("Lyon", {}, r"optimizer\.name='Lyon' is not in pytorch_optimizer.*Lion"),
        ("SAM", {}, "it calls the loss again within a step"),
        ("Muon", {}, "take optimizer=muon"),
        ("Conda", {}, "can only be read by a pickle"),
        ("Lion", {"options": {"beta": [0.9, 0.99]}}, r"optimizer\.options\.beta: .*no such argument.*betas"),
        ("Lion", {"options": {"betas": [1.5, 0.9]}}, r"optimizer\.options\.betas"),
    ],
)
def test_what_does_not_fit_is_one_line(name, changes, message):
    with pytest.raises(ExpError, match=message):
        made(name, **changes)


def test_the_package_is_not_imported_to_check_a_name(monkeypatch):
    monkeypatch.delitem(sys.modules, "pytorch_optimizer", raising=False)
    made("Lion")
    assert "pytorch_optimizer" not in sys.modules
