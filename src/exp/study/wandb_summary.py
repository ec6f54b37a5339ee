"""A run in W&B that sums a study up: the table of its trials and the pictures, in the trials' group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from exp.study.plan import StudyPlan
from exp.study.progress import best_of, state_name
from exp.work.hydra_jobs import HydraJobs


def summarize(plan: StudyPlan, jobs: HydraJobs, trials: Sequence[FrozenTrial]) -> None:
    """Nothing where the trials' tracker is not W&B, or is switched off."""
    settings = OmegaConf.select(jobs.master, "tracker.wandb", default=None)
    if settings is None:
        return
    try:
        _write(plan, OmegaConf.to_container(settings, resolve=True), trials)  # type: ignore[arg-type]
    except Exception as error:  # a server that says no must not cost the study its end
        print(f"note: no summary run in W&B ({type(error).__name__}: {error})")


def _write(plan: StudyPlan, settings: dict[str, Any], trials: Sequence[FrozenTrial]) -> None:
    import wandb

    from exp.tracker.wandb import Wandb, hidden_arguments, said_by

    tracker = Wandb(**{key: value for key, value in settings.items() if not key.startswith("_")})
    mode, _ = tracker.effective_mode()  # offline without a key, as the trials' runs were
    if mode == "disabled":
        return
    with hidden_arguments():
        run = wandb.init(
            project=said_by("project", settings["project"])[1],
            entity=settings["entity"],
            mode=mode,
            dir=str(plan.folder),
            group=plan.study_name,
            name=f"{plan.study_name} summary",
            job_type="study",
            reinit="finish_previous",
            settings=wandb.Settings(silent=True, console="off"),  # the console says the storage
        )
    names = sorted({name for trial in trials for name in trial.params})
    rows: list[list[Any]] = [
        [trial.number, state_name(trial), *(trial.values or [None])[:1], *(str(trial.params.get(n, "")) for n in names)]
        for trial in trials
    ]
    run.log({"trials": wandb.Table(columns=["trial", "state", "value", *names], data=rows)})
    for picture in sorted((plan.folder / "pictures").glob("*.png")):
        run.log({f"pictures/{picture.stem}": wandb.Image(str(picture))})
    if (best := best_of(trials, plan)) is not None:
        run.summary.update({"best/value": best.value, "best/trial": best.number, "trials": len(trials)})
    run.finish()
