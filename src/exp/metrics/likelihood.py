"""Metrics of language models, each a function of sums over the tokens of every row.

Predictions are [n, 2]: the negative log likelihood in nats, and how many tokens were guessed right. References are
[n, 3]: how many tokens were predicted, and the words and bytes of their text. A row that was cut counts what was
predicted. Words are what white space parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exp.metrics.names import MASKED, NEXT

Array = NDArray[np.float64]
NLL, RIGHT = 0, 1  # columns of the predictions
TOKENS, WORDS, BYTES = 0, 1, 2  # of the references
KINDS = NEXT + MASKED


def _perplexity(unit: int) -> Callable[[Array, Array, Any], float]:
    def score(predictions: Array, references: Array, scores: Any) -> float:
        with np.errstate(over="ignore"):  # infinite: the model knows nothing
            return float(np.exp(predictions[:, NLL].sum() / references[:, unit].sum()))

    return score


def _bits_per_byte(predictions: Array, references: Array, scores: Any) -> float:
    """Does not depend on the tokenizer, so that models with different vocabularies can be compared."""
    return float(predictions[:, NLL].sum() / math.log(2) / references[:, BYTES].sum())


def _token_accuracy(predictions: Array, references: Array, scores: Any) -> float:
    return float(predictions[:, RIGHT].sum() / references[:, TOKENS].sum())


FUNCTIONS = {
    **{("perplexity", kind): _perplexity(TOKENS) for kind in KINDS},
    **{("token_accuracy", kind): _token_accuracy for kind in KINDS},
    ("perplexity_word", NEXT[0]): _perplexity(WORDS),
    ("bits_per_byte", NEXT[0]): _bits_per_byte,
}
