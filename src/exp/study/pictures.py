"""A study's pictures: Optuna's own drawings in the look of our curves."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import optuna

from exp.metrics.importance import enough
from exp.run.files import replacing
from exp.study.plan import StudyPlan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 12  # trials in a legend, or named beside their points
BLUE, GREY = "#0072b2", "#4d4d4d"


def draw(study: optuna.Study, plan: StudyPlan) -> list[str]:
    """pictures/*.png, and *.html that can be explored where plotly is installed. Returns the names of those drawn."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as drawings

    folder = plan.folder / "pictures"
    folder.mkdir(exist_ok=True)
    drawn = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls its drawings experimental
        for name, options in _wanted(study, plan).items():
            try:
                getattr(drawings, f"plot_{name}")(study, **options)
                wide = 3.6 * len(plan.space.params) if name == "slice" else 10
                figure = pyplot.gcf()
                figure.set_size_inches(max(10, wide), 5.5)
                if name in TOUCHES:
                    TOUCHES[name](figure.axes[0], study, next(iter(plan.objective.names), "value"))
                _restyle(figure, name)
                with replacing(folder / f"{name}.png") as scratch:
                    figure.savefig(scratch, dpi=110, bbox_inches="tight", facecolor="white")
                drawn.append(name)
            except (ValueError, RuntimeError):  # too few trials for this drawing
                continue
            finally:
                pyplot.close("all")
            _draw_html(study, plan, name, options)
    return drawn


def _wanted(study: optuna.Study, plan: StudyPlan) -> dict[str, dict[str, Any]]:
    """The drawings that fit the study, with their options."""
    if len(study.directions) > 1:
        names = list(plan.objective.names) or None
        return {"pareto_front": {"target_names": names}} if len(study.directions) < 4 else {}
    label = {"target_name": plan.objective.names[0] if plan.objective.names else "value"}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return {
        "slice": label,
        "parallel_coordinate": label,
        "optimization_history": label,
        **({"param_importances": {**label, "evaluator": evaluator}} if enough(study) else {}),
        "intermediate_values": {},
    }


def _restyle(figure: Figure, name: str) -> None:
    """White paper, a faint grid, and no title: the file's name is one."""
    figure.suptitle("")
    if name == "parallel_coordinate":
        figure.axes[0].set_facecolor("white")
        figure.axes[0].grid(False)
    for axes in figure.axes:
        for place in ("left", "center"):
            axes.set_title("", loc=place)
        if axes.get_label() == "<colorbar>" or name == "parallel_coordinate":
            continue
        axes.set_facecolor("white")
        axes.grid(True, which="major", color="0.88", linewidth=0.8)
        axes.grid(False, which="minor")
        axes.tick_params(colors=GREY, labelsize=10)
        axes.xaxis.label.set_color("black")
        axes.yaxis.label.set_color("black")
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("0.7")
        for axis, scale in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
            if scale == "log":
                _decades(axis)


def _decades(axis: Any) -> None:
    """A label at every power of ten, and at 2 and 5 where there are few: minor ticks of a short range overlap."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    subs = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(base=10, subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")))
    axis.set_minor_formatter(NullFormatter())


def _front(axes: Axes, study: optuna.Study, value: str) -> None:
    """A line through the front and the numbers of its trials."""
    if len(study.directions) > 2:
        return
    front = sorted(study.best_trials, key=lambda trial: trial.values[0])
    axes.plot(*zip(*(trial.values for trial in front), strict=True), color=BLUE, linewidth=1.2, zorder=1)
    for trial in front[:MOST_NAMED]:
        _name_trial(axes, trial.number, (trial.values[0], trial.values[1]))


def _best_so_far(axes: Axes, study: optuna.Study, value: str) -> None:
    """The number of the best trial."""
    best = study.best_trial
    _name_trial(axes, best.number, (best.number, best.value or 0.0))


def _evaluations(axes: Axes, study: optuna.Study, value: str) -> None:
    """Optuna calls them step and intermediate value; and a legend of forty trials would be the larger picture."""
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(value)
    legend = axes.get_legend()
    if legend is not None and len(legend.get_texts()) > MOST_NAMED:
        legend.remove()


def _name_trial(axes: Axes, number: int, point: tuple[float, float]) -> None:
    axes.annotate(f"trial {number}", point, textcoords="offset points", xytext=(6, 6), fontsize=9, color=GREY)


TOUCHES = {"pareto_front": _front, "optimization_history": _best_so_far, "intermediate_values": _evaluations}


def _draw_html(study: optuna.Study, plan: StudyPlan, name: str, options: dict[str, Any]) -> None:
    try:
        import plotly  # noqa: F401
    except ImportError:
        return
    figure = getattr(optuna.visualization, f"plot_{name}")(study, **options)
    figure.write_html(plan.folder / "pictures" / f"{name}.html", include_plotlyjs="directory")
