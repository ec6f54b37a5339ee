"""A verdict, its texts, and the thresholds of the rules with their sources."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

STATES = ("insufficient", "unstable", "overfitting", "underfitting", "improving", "converged", "healthy")
TITLES = {
    "insufficient": "insufficient data",
    "unstable": "unstable",
    "overfitting": "overfitting",
    "underfitting": "underfitting or failed",
    "improving": "still improving",
    "converged": "converged",
    "healthy": "healthy",
}
BROKEN = ("unstable", "overfitting", "underfitting")

# The remedies of the course's section on learning curves, in its order.
REMEDIES = {
    "insufficient": ("evaluate more often (eval_strategy=steps eval_steps=...)", "train longer"),
    "unstable": (
        "lower the learning rate, or warm it up",
        "larger batches (gradient_accumulation_steps)",
        "clip gradients (max_grad_norm)",
        "look for broken examples in the data",
    ),
    "overfitting": (
        "regularise (weight decay, dropout)",
        "stop early (early_stopping_patience) or keep the best checkpoint (load_best_model_at_end)",
        "more data or augmentation",
        "a smaller model",
    ),
    "underfitting": (
        "a larger model",
        "train longer",
        "another learning rate",
        "check the quality of data and labels",
    ),
    "improving": ("train longer (num_train_epochs), with the schedule stretched to the new length",),
    "converged": (),
    "healthy": (),
}


def title_of(state: str) -> str:
    """A rule of the user's own is called by its file's name."""
    return TITLES.get(state, state.replace("_", " "))


@dataclass(frozen=True)
class Thresholds:
    """When a rule applies. Losses are compared with the chance loss, ln(classes): an untrained head's loss.

    Without the number of classes (regression) the first window of the training loss takes its place.
    """

    # A trend needs two changes; the course's recipe evaluates three times.
    min_evaluations: int = 3
    # Single batches of 8 jump by a factor of three in healthy runs; ten steps average that out.
    window_steps: int = 10
    # Times the chance loss, after the first window: the steps were too long. Ours, validated by
    # benchmarks/verdicts.py.
    spike: float = 1.5
    # Share of the chance loss that the training loss climbs back from its lowest window. Ours, as above.
    relapse: float = 0.5
    # Times the chance loss that the median of the training loss's windows exceeds, over at least `stuck_windows`
    # of them: not one spike, but a model that is wrong with confidence all along. Ours, as above.
    stuck_above: float = 1.1
    stuck_windows: int = 10
    # Generalisation loss in percent. Prechelt 1998, "Early stopping - but when?": GL_5.
    generalisation_loss: float = 5.0
    # One evaluation alone is noise: a single rise has to be this many times larger.
    single_rise: float = 2.0
    # Below this share of the chance loss a rise of the evaluation loss is too small to matter.
    smallest_rise: float = 0.02
    # Share by which training loss must have fallen since the best evaluation to call it overfitting.
    training_fall: float = 0.02
    # Standard errors above the majority class that a trained model must show. Mosbach 2021: failed runs
    # are not above the majority classifier; one standard error as in Breiman et al. 1984.
    standard_errors: float = 1.0
    # Evaluations averaged before a run is called failed.
    failed_evaluations: int = 3
    # Without a majority share: training loss has to fall by this share of its start.
    learned: float = 0.1
    # Share of the evaluation loss gained over the last third of the evaluations. Ours, validated likewise.
    improving: float = 0.03
    # Range of the evaluation loss over the last third, as a share of it, that counts as flat.
    flat: float = 0.05
    # Peak rate's share below which the rate has decayed away, and a plateau may be its doing.
    decayed: float = 0.1
    # Live only: a run is called failed after this many evaluations, since slow starts are common.
    live_failed_evaluations: int = 5


@dataclass(frozen=True)
class EvaluatedStep:
    """One evaluation of the primary metric; `loss` is eval/loss there, where it was logged."""

    step: int
    value: float
    loss: float | None


@dataclass(frozen=True)
class Verdict:
    """`step` is where the state shows first; `cost` is best minus last of `metric`, never negative."""

    state: str  # one of STATES, or the name of a rule of the user's own
    step: int | None
    evidence: tuple[str, ...]
    metric: str | None = None
    best: EvaluatedStep | None = None
    last: EvaluatedStep | None = None
    cost: float | None = None
    remedies: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return title_of(self.state)

    @property
    def broken(self) -> bool:
        return self.state in BROKEN

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "title": self.title}

    def text(self) -> str:
        """Several short lines for a terminal or a log."""
        where = f" (from step {self.step})" if self.step is not None and self.broken else ""
        lines = [f"verdict: {self.title}{where}"]
        lines += [f"  {line}" for line in self.evidence]
        if self.best and self.last and self.metric:
            if self.best.step == self.last.step:
                lines.append(f"  the last checkpoint is the best: {self.metric} {self.best.value:.4g}")
            elif not self.cost:
                lines.append(
                    f"  the last checkpoint is as good as the best: {self.metric} {self.best.value:.4g}, "
                    f"first reached at step {self.best.step}"
                )
            else:
                lines.append(
                    f"  the last checkpoint ({self.metric} {self.last.value:.4g}, step {self.last.step}) "
                    f"costs {self.cost:.4g} against the best ({self.best.value:.4g}, step {self.best.step})"
                )
        if self.remedies:
            lines.append("  try: " + "; ".join(self.remedies))
        lines += [f"  note: {line}" for line in self.caveats]
        return "\n".join(lines)
