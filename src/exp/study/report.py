"""Writes a study's results into its folder: the best trial, tables, pictures."""

from __future__ import annotations

import csv
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from exp.config.compose import config_dir_flag
from exp.config.grammar import quoted
from exp.metrics.importance import importances
from exp.run.files import write_atomic
from exp.run.identity import flatten
from exp.run.said import counted
from exp.run.secrets import redacted
from exp.study.equal_trials import EQUAL_TO
from exp.study.pictures import draw
from exp.study.plan import StudyPlan
from exp.study.progress import best_of, state_name, trial_seconds, value_text
from exp.work.hydra_jobs import HydraJobs
from exp.work.last_read import slot_holders
from exp.work.trial_queue import SWEEP, TrialQueue


def report(queue: TrialQueue, plan: StudyPlan, jobs: HydraJobs, command: str, pictures: bool) -> None:
    """Writes optimization_results.yaml, trials.csv, pictures/ and best/, and prints what they say in short."""
    trials = queue.trials()
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    write_table(plan.folder / "trials.csv", trials)
    counts = {
        word: sum(state_name(trial) == word for trial in trials) for word in dict.fromkeys(map(state_name, trials))
    }
    print(f"{plan.study_name}: " + ", ".join(f"{count} {word}" for word, count in counts.items()))
    if not complete:
        return
    importance = importances(queue.study)
    results: dict[str, Any] = {"name": "optuna"}
    best = best_of(trials, plan)
    if len(plan.objective.directions) == 1 and best is None:
        print("no complete trial keeps all constraints")
        return
    if best is not None:
        again = redacted(retrain_command(plan, jobs, best, command))
        results |= {"best_params": _config_values(best, plan), "best_value": best.value}
        results |= {"best_trial": best.number, "best_folder": _trial_folder(best)}
        results |= {"command": again, "importance": importance}
        print(f"best: trial {best.number}, {' '.join(plan.objective.names) or 'value'} {value_text(best.values)}")
        print(f"  folder  {_trial_folder(best)}\n  again   {again}")
        _link_best(plan.folder / "best", Path(_trial_folder(best)))
    else:
        front = queue.study.best_trials
        results["solutions"] = [
            {
                "params": _config_values(trial, plan),
                "values": list(trial.values),
                "trial": trial.number,
                "folder": _trial_folder(trial),
            }
            for trial in front
        ]
        print(f"{counted(len(front), 'trial')} on the Pareto front ({', '.join(plan.objective.names) or 'values'}):")
        for trial in front:
            print(f"  trial {trial.number}: {value_text(trial.values)}  {_trial_folder(trial)}")
    if importance:
        print("  importance " + ", ".join(f"{name} {share:.2f}" for name, share in importance.items()))
    results |= {
        "study_name": plan.study_name,
        "objective": list(plan.objective.names),
        "directions": list(plan.objective.directions),
        "objective_from": plan.objective.take,
        "split": queue.study.user_attrs.get("objective", {}).get("split", []),
        "n_trials": len(slot_holders(trials)),
        "states": counts,
    }
    write_atomic(plan.folder / "optimization_results.yaml", OmegaConf.to_yaml(OmegaConf.create(results)))
    if pictures and (drawn := draw(queue.study, plan)):
        print(f"  pictures {plan.folder / 'pictures'}: {', '.join(drawn)}")
    from exp.study.wandb_summary import summarize

    summarize(plan, jobs, trials)


def _config_values(trial: FrozenTrial, plan: StudyPlan) -> dict[str, Any]:
    """Config keys and values, linked parameters taken apart, numbers as numbers."""
    values: dict[str, Any] = dict(trial.params)
    for param in plan.space.params:
        if param.name in values:
            value = values.pop(param.name)
            row = param.rows[value] if param.rows is not None else (value,)
            values.update(zip(param.keys, row, strict=True))
    return values


def _trial_folder(trial: FrozenTrial) -> str:
    if SWEEP in trial.user_attrs:
        return str(Path(trial.user_attrs[SWEEP]) / str(trial.user_attrs.get(EQUAL_TO, trial.number)))
    return str(trial.user_attrs.get("folder", ""))  # a trial of an older version


def _link_best(link: Path, target: Path) -> None:
    """`best` points to the best trial's folder; replaced in one step."""
    scratch = link.with_name(f".best.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(os.path.relpath(target, link.parent))
    scratch.replace(link)


def write_table(path: Path, trials: Sequence[FrozenTrial]) -> None:
    """One line a trial, every parameter and every objective a column."""
    params = sorted({name for trial in trials for name in trial.params})
    width = max((len(trial.values or ()) for trial in trials), default=1) or 1
    values = ["value"] if width == 1 else [f"value_{index}" for index in range(width)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        attrs = ["task_seconds", "commit", "worker", "retry_of", EQUAL_TO, "error"]
        writer.writerow(["number", "state", *values, *params, "seconds", "reports", *attrs, "folder"])
        for trial in trials:
            own = list(trial.values or []) + [""] * (width - len(trial.values or []))
            row = [trial.number, state_name(trial), *own, *(trial.params.get(name, "") for name in params)]
            row += [round(trial_seconds(trial), 3), len(trial.intermediate_values)]
            writer.writerow([*row, *(trial.user_attrs.get(name, "") for name in attrs), _trial_folder(trial)])


def retrain_command(plan: StudyPlan, jobs: HydraJobs, trial: FrozenTrial, command: str) -> str:
    """The command that trains this trial again: without the preset, but with all that the preset had set."""
    overrides = plan.space.overrides({name: trial.params[name] for name in trial.params if _known(plan, name)})
    plain = [word for word in overrides if not word.startswith(("sweep=", "hydra"))]
    loader = jobs.context.config_loader
    without = [word for word in jobs.master.hydra.overrides.hydra if not word.startswith("hydra")]
    base = loader.load_configuration(jobs.master.hydra.job.config_name, [*without, *plain], run_mode=_run_mode())
    with_preset = loader.load_sweep_config(jobs.master, overrides)
    before, after = (dict(flatten(_run_config(config))) for config in (base, with_preset))
    objective = plan.extra.get("metric_for_best_model")
    changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
    if objective is not None and "metric_for_best_model" in after:
        changed["metric_for_best_model"] = objective
    words = [*plain, *(f"{key}={_text(value)}" for key, value in changed.items())]
    flags = config_dir_flag([source.path for source in jobs.master.hydra.runtime.config_sources])
    return " ".join([command, *(shlex.quote(word) for word in [*flags, *words])])


def _known(plan: StudyPlan, name: str) -> bool:
    return any(param.name == name for param in plan.space.params)


def _run_mode() -> Any:
    from hydra.types import RunMode

    return RunMode.RUN


def _run_config(config: Any) -> dict[str, Any]:
    """Unresolved, so that a key which follows another is not said twice."""
    written: dict[Any, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    return {str(key): value for key, value in written.items() if key not in ("hydra", "sweep")}


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return "[" + ",".join(_text(item) for item in value) + "]"
    if isinstance(value, str):
        # An interpolation stays one; other signs of Hydra's grammar are quoted.
        return value if re.fullmatch(r"[\w./+-]*|\$\{.*\}", value, re.ASCII) and value else quoted(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
