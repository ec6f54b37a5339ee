"""Reliability: how often answers of a confidence are right, one curve a condition."""

from __future__ import annotations

import base64
import io

from exp.analysis.comparison import TaskComparison
from exp.analysis.table import name_of

MOST = 8  # conditions in one picture


def reliability(task: TaskComparison) -> str | None:
    """A PNG as data: address; None where nobody asked for calibration."""
    found = task.items
    if found is None or not found.calibration:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="calibrated")
    shown = [condition for condition in task.conditions if condition.id in found.calibration][:MOST]
    for condition in shown:
        bins = found.calibration[condition.id].measured.bins
        x, y = ([getattr(one, name) for one in bins] for name in ("confidence", "right"))
        axes.plot(x, y, marker="o", markersize=4, linewidth=1.2, label=name_of(condition)[:40])
    least = min(min(one.confidence, one.right) for name in shown for one in found.calibration[name.id].measured.bins)
    low = max(0.0, least - 0.1)  # nothing happens below
    axes.set(
        xlabel="confidence, bins of equal mass", ylabel="share of right answers", xlim=(low, 1.01), ylim=(low, 1.01)
    )
    axes.legend(fontsize=8, loc="upper left")
    written = io.BytesIO()
    figure.savefig(written, format="png")
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
