"""What runs have cost together, in one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from exp.analysis.run_data import RunData
from exp.run.said import counted


def said_of_cost(runs: Sequence[RunData]) -> str:
    """`3.2 h of training in 10 runs, 0.41 kWh, 7.10 EUR, MFU 31%`. What some runs did not measure is said to be of the
    others alone; what none did is left out, and so are runs that left no result."""
    runs = [run for run in runs if _known([run], "train_seconds")]
    seconds = _known(runs, "train_seconds")
    told = [f"{hours(math.fsum(seconds))} of training in {counted(len(seconds), 'run')}"]
    energy = _known(runs, "energy_kwh")
    if energy:
        told.append(f"{math.fsum(energy):.3g} kWh{_part(energy, runs)}")
    currencies = sorted({str(run.config.get("cost.currency")) for run in runs if "money" in run.cost})
    for currency in currencies:
        of = [run for run in runs if run.config.get("cost.currency") == currency]
        money = _known(of, "money")
        told.append(f"{math.fsum(money):.2f} {currency}{_part(money, runs)}")
    used = _known(runs, "mfu")
    if used:
        told.append(f"MFU {median(used):.1%}{' (median)' if len(used) > 1 else ''}")
    return ", ".join(told)


def charged(runs: Sequence[RunData]) -> bool:
    """Whether energy or money is known of any."""
    return any(_known(runs, name) for name in ("energy_kwh", "money"))


def hours(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _known(runs: Sequence[RunData], name: str) -> list[float]:
    values = (run.cost.get(name) for run in runs)
    return [value for value in values if value is not None and math.isfinite(value)]


def _part(values: Sequence[float], runs: Sequence[RunData]) -> str:
    return "" if len(values) == len(runs) else f" (of {counted(len(values), 'run')})"
