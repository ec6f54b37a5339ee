"""A fixed list of jobs: what stands in the storage of each, and the order that their dependencies give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from optuna.trial import FrozenTrial

from exp.errors import ExpError

JOB = "job"  # a trial's attribute: {"tag", "after": tags, and what the command's recipe needs}


def latest_by_tag(trials: Iterable[FrozenTrial]) -> dict[str, FrozenTrial]:
    """The trial that counts for each job of a fixed list."""
    return {trial.user_attrs[JOB]["tag"]: trial for trial in trials if JOB in trial.user_attrs}


def check_order(after: Mapping[str, Sequence[str]]) -> None:
    """Raises ExpError for a dependency that is not in the list, and for a circle of them."""
    done: set[str] = set()
    for tag, firsts in after.items():
        for first in firsts:
            if first not in after:
                raise ExpError(f"job {tag} starts from {first}, which is not in the list")
    while len(done) < len(after):
        ready = [tag for tag, firsts in after.items() if tag not in done and done.issuperset(firsts)]
        if not ready:
            circle = ", ".join(sorted(set(after) - done))
            raise ExpError(f"these jobs wait for each other in a circle: {circle}")
        done.update(ready)


def after(trial: FrozenTrial) -> Sequence[str]:
    return trial.user_attrs.get(JOB, {}).get("after", ())
