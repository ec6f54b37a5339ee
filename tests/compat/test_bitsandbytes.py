"""Fails in words when bitsandbytes changes a name that exp.compat.bitsandbytes uses."""

from __future__ import annotations

import pytest

from exp.compat.bitsandbytes import REPACKS, keep_4bit_weights


def test_a_4bit_layer_is_told_not_to_repack() -> None:
    bnb = pytest.importorskip("bitsandbytes")
    layer = bnb.nn.Linear4bit(8, 8)
    assert hasattr(layer, REPACKS), (
        f"bitsandbytes' Linear4bit has no {REPACKS} any more: see whether an evaluation still repacks its weights"
    )
    setattr(layer, REPACKS, True)
    keep_4bit_weights(layer)
    assert getattr(layer, REPACKS) is False
