"""How far a score over runs would move on other examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exp.analysis.evidence.predictions import read, sums_of
from exp.analysis.evidence.resample import ItemParts, error_of, pseudo_values
from exp.analysis.run_data import RunData
from exp.errors import ExpError
from exp.metrics.key import Key


def over_examples(runs: Sequence[RunData], metric: str) -> tuple[float, int]:
    """Standard error over examples of the runs' mean score, for these seeds, and the number of examples.

    Args:
        runs: of one condition, one a seed.
        metric: a full key (eval/accuracy).

    Raises:
        ExpError: predictions are missing, are of different rows, or hold fewer than two.
    """
    key = Key.of(metric)
    found = []
    for run in runs:
        try:
            found.append(read(run, key.split))
        except ExpError as error:
            raise ExpError(f"run {run.id} {error}") from None
    if len({one.fingerprint for one in found}) > 1:
        raise ExpError(f"the runs were evaluated on different {key.split} rows")
    made = [sums_of(one, key, []) for one in found]
    parts = ItemParts(np.stack([one.parts for one in made], axis=1), made[0].score)
    if parts.n < 2:
        raise ExpError(f"{key.split} has one example")
    return float(error_of(pseudo_values(parts).mean(axis=1))), parts.n
