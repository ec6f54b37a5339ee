from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from exp.metrics import calibration


def drawn(temperature, n=4000):
    """Probabilities whose logits have to be divided by `temperature`."""
    dice = np.random.default_rng(1)
    logits = dice.normal(0, 2, (n, 3))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gold = np.array([dice.choice(3, p=row) for row in honest])
    return calibration.at_temperature(honest, 1 / temperature), gold


def test_an_honest_model_is_calibrated():
    found = calibration.measure(*drawn(1.0))
    assert found.ece < 0.03 and not found.overconfident
    assert sum(one.n for one in found.bins) == 4000 and len({one.n for one in found.bins}) <= 2


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_the_temperature_is_found(temperature):
    probabilities, gold = drawn(temperature)
    fitted = calibration.fit_temperature(probabilities, gold)
    assert fitted == pytest.approx(temperature, rel=0.08)
    before, after = (calibration.measure(probabilities, gold, at) for at in (1.0, fitted))
    assert after.ece < 0.03 < before.ece and after.accuracy == before.accuracy
    assert before.overconfident is (temperature > 1)


def test_brier_is_scikit_learns_and_its_parts_add_up():
    probabilities, gold = drawn(2.0)
    found = calibration.measure(probabilities, gold)
    sure, right = probabilities.max(1), probabilities.argmax(1) == gold
    assert found.brier == pytest.approx(brier_score_loss(right, sure))
    binned = found.reliability - found.resolution + found.uncertainty
    each = [(one.confidence - one.right) ** 2 + one.right * (1 - one.right) for one in found.bins]
    assert binned == pytest.approx(np.average(each, weights=[one.n for one in found.bins]))
    assert abs(binned - found.brier) < 0.005


def test_labels_are_events():
    probabilities, gold = calibration.events(np.array([[0.9, 0.2]]), np.array([[1, 0]]))
    assert probabilities.tolist() == [[pytest.approx(0.1), 0.9], [0.8, 0.2]] and gold.tolist() == [1, 0]
