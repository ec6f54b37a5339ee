from __future__ import annotations

import math

import numpy as np
import pytest

from exp import metrics
from exp.errors import ExpError
from exp.metrics import names

# Two rows: nll in nats and right tokens; tokens, words and bytes.
PREDICTIONS = [[4 * math.log(2), 3], [12 * math.log(2), 1]]
REFERENCES = [[4, 2, 16], [4, 2, 16]]
ALL = ["perplexity", "perplexity_word", "bits_per_byte", "token_accuracy"]


def test_values():
    found = metrics.compute(ALL, "next_tokens", PREDICTIONS, REFERENCES)
    expected = {"perplexity": 4.0, "perplexity_word": 16.0, "bits_per_byte": 0.5, "token_accuracy": 0.5}
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_sum_over_rows_and_no_mean_of_rows():
    found = metrics.compute(["perplexity"], "masked_tokens", [[0.0, 1], [math.log(2), 0]], [[9, 0, 0], [1, 0, 0]])
    assert found["perplexity"] == pytest.approx(2 ** (1 / 10))


def test_nan_stays_nan_and_what_is_too_large_is_infinite():
    assert math.isnan(metrics.compute(["perplexity"], "next_tokens", [[math.nan, 0]], [[1, 1, 1]])["perplexity"])
    assert metrics.compute(["perplexity"], "next_tokens", [[1e6, 0]], [[1, 1, 1]])["perplexity"] == math.inf


def test_smaller_is_better_but_for_accuracy():
    assert [names.greater_is_better(name) for name in ALL] == [False, False, False, True]


def test_masked_tokens_have_no_words_and_bytes():
    for name in ("perplexity_word", "bits_per_byte", "accuracy"):
        with pytest.raises(ExpError, match="masked_tokens"):
            names.check([name], "masked_tokens")


def test_as_one_evaluate_metric():
    together = metrics.build(ALL)
    together.add_batch(predictions=np.array(PREDICTIONS), references=np.array(REFERENCES, dtype=float))
    assert together.compute()["perplexity"] == pytest.approx(4.0)
