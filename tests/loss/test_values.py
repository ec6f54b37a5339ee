"""The arithmetic of single units against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from exp.loss import values
from exp.task.terms import Term

torch.manual_seed(0)
LOGITS, LABELS = torch.randn(7, 4), torch.tensor([0, 1, 2, 3, 0, 1, 2])
CLASS = Term("class", LOGITS, LABELS)
BINARY = Term("binary", LOGITS, (LOGITS.roll(1, 0) > 0).float())
SCORE = Term("score", LOGITS[:, 0], LOGITS[:, 1])


def test_smoothing_is_torchs():
    assert torch.allclose(
        values.smoothed(CLASS, 0.1), F.cross_entropy(LOGITS, LABELS, label_smoothing=0.1, reduction="none")
    )


def test_classes_that_are_padding_take_no_part():
    real = torch.ones(7, 6, dtype=torch.bool)
    real[:, 4:] = False
    padded = Term("class", torch.cat([LOGITS, torch.full((7, 2), -1e4)], 1), LABELS, real)
    for value in (lambda term: values.smoothed(term, 0.3), values.own, lambda term: values.weighed(term, None, 2.0)):
        assert torch.allclose(value(padded), value(CLASS), atol=1e-6)
    moved = padded.logits.roll(1, 0)
    assert torch.allclose(
        values.divergence(padded, padded.logits, moved), values.divergence(CLASS, LOGITS, LOGITS.roll(1, 0)), atol=1e-6
    )


def test_divergence_is_torchs():
    other = LOGITS.roll(1, 0)
    expected = F.kl_div((other / 2).log_softmax(-1), (LOGITS / 2).log_softmax(-1), log_target=True, reduction="none")
    assert torch.allclose(values.divergence(CLASS, LOGITS, other, 2.0), expected.sum(-1), atol=1e-6)
    one, two = torch.distributions.Bernoulli(logits=LOGITS), torch.distributions.Bernoulli(logits=other)
    expected = torch.distributions.kl_divergence(one, two).mean(-1)
    assert torch.allclose(values.divergence(BINARY, LOGITS, other), expected, atol=1e-6)
    assert torch.equal(values.divergence(SCORE, SCORE.logits, SCORE.labels), (SCORE.logits - SCORE.labels) ** 2)


def test_focal_and_weights():
    share = LOGITS.softmax(-1)[range(7), LABELS]
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    expected = -weights[LABELS] * (1 - share) ** 2 * share.log()
    assert torch.allclose(values.weighed(CLASS, weights, 2.0), expected, atol=1e-6)
    assert torch.equal(values.weighed(CLASS, None), values.own(CLASS))
    expected = F.binary_cross_entropy_with_logits(LOGITS, BINARY.labels, pos_weight=weights, reduction="none")
    assert torch.allclose(values.weighed(BINARY, weights), expected.mean(-1), atol=1e-6)


@pytest.mark.parametrize("term", [CLASS, BINARY, SCORE], ids=lambda term: term.kind)
def test_every_value_is_one_a_unit(term):
    assert values.own(term).shape == (7,)
    assert values.divergence(term, term.logits, term.logits).abs().max() < 1e-6
