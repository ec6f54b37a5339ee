"""curves.png: loss, metrics, rate and gradient norm of one run over optimizer steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exp.curves.curve import Curve, Facts, eval_metrics
from exp.curves.measures import floors
from exp.curves.verdict import Verdict
from exp.run.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours: told apart with every common colour blindness, and in grey.
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"


def draw(curve: Curve, verdict: Verdict, path: Path, title: str, facts: Facts) -> None:
    """Writes a PNG of 1500 x 1000 pixels. Uses the Agg canvas directly: pyplot's state is the user's."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(10, 6.67), dpi=150)
    canvas = FigureCanvasAgg(figure)
    # Fixed margins: a layout that is worked out measures every label, and doubles the time of a picture.
    figure.subplots_adjust(left=0.085, right=0.985, bottom=0.075, top=0.865, wspace=0.2, hspace=0.19)
    figure.suptitle(_plain(f"{title}\n{verdict.title}"), fontsize=11, y=0.985)
    loss, metric, rate, norm = figure.subplots(2, 2, sharex=True).flat
    _line(loss, curve, "train/loss", BLUE)
    _line(loss, curve, "eval/loss", ORANGE, dots=True)
    for key, color in zip(eval_metrics(curve), (ORANGE, GREEN, PINK, GREY), strict=False):
        _line(metric, curve, key, color, dots=True)
    guessing = floors(curve, facts).get(verdict.metric or "")
    if guessing is not None:
        metric.axhline(guessing[0], color=GREY, linestyle=":", linewidth=1.3, label=f"guessing, {guessing[0]:.3g}")
    _line(rate, curve, "train/lr", BLUE)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    _line(norm, curve, "train/grad_norm", BLUE)
    values = curve.get("train/grad_norm").values
    if values and min(values) > 0 and max(values) > 30 * min(values):
        norm.set_yscale("log")
        norm.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        norm.yaxis.set_major_formatter("{x:g}")
        norm.yaxis.set_minor_formatter(NullFormatter())
    for axes, label in ((loss, "loss"), (metric, "metric"), (rate, "learning rate"), (norm, "gradient norm")):
        _frame(axes, label, verdict)
    if verdict.best is not None:
        name = f"best, step {verdict.best.step}"
        home = metric if verdict.metric in eval_metrics(curve) else loss
        home.plot(verdict.best.step, verdict.best.value, "*", color="black", markersize=9, label=name, zorder=3)
    for axes in (loss, metric):
        if axes.lines:  # above the axes, where it hides no point of a curve
            axes.legend(
                fontsize=8,
                frameon=False,
                loc="lower left",
                bbox_to_anchor=(0, 1),
                ncols=3,
                borderaxespad=0.1,
                columnspacing=1.2,
                handlelength=1.5,
            )
    for axes in (rate, norm):
        axes.set_xlabel("optimizer step")
    for axes in (loss, rate, norm):
        for step in sorted({step for step, key in curve.bad})[:20]:
            axes.axvline(step, color="red", linewidth=0.8)
    with replacing(path) as scratch:
        canvas.print_png(scratch, pil_kwargs={"compress_level": 3})  # savefig draws twice


def _line(axes: Axes, curve: Curve, key: str, color: str, dots: bool = False) -> None:
    series = curve.get(key)
    if len(series):
        marker = "o" if dots or len(series) < 3 else None
        axes.plot(
            series.steps,
            series.values,
            color=color,
            label=_plain(key),
            marker=marker,
            markersize=3,
            linewidth=1.3,
        )


def _frame(axes: Axes, label: str, verdict: Verdict) -> None:
    axes.set_ylabel(label)
    axes.yaxis.set_label_coords(-0.13, 0.5)  # beneath each other, whatever the width of the ticks' labels
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if not axes.lines:
        axes.text(0.5, 0.5, "not logged", ha="center", va="center", transform=axes.transAxes, color=GREY)
    elif verdict.best is not None:
        axes.axvline(verdict.best.step, color=GREY, linestyle="--", linewidth=1)


def _plain(text: str) -> str:
    """A dollar sign would start matplotlib's formulas, and a name may hold anything."""
    return text.replace("$", r"\$")
