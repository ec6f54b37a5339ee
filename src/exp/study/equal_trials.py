"""Trials that are equal in their whole config, seeds too: one of them runs, the others take what it recorded.

Random search and TPE over a few choices draw the same point again and again. Optuna leaves it to the objective to look
among `study.trials` (its FAQ, "How can I ignore duplicated samples?"); here one of several workers has to claim the
config, and the others wait for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from exp.compat.optuna import storage_of, trial_id
from exp.work.trial_queue import SWEEP, WAITS_FOR, TrialQueue
from exp.work.worker import Outcome

CONFIG = "config_digest"  # a trial's attribute: of the config that it runs, or ran
EQUAL_TO = "equal_to"  # a trial's attribute: the number of the trial that ran instead of it
SEEDS = "values_by_seed"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def config_digest(config: DictConfig) -> str | None:
    """Of a trial's config without Hydra's node. None where it resolves only while the trial runs: it has no equal."""
    hydra, before = HydraConfig.instance(), HydraConfig.instance().cfg
    try:
        hydra.set_config(config)  # ${hydra:job.num} is this trial's, as it will be when it runs
        plain = {str(key): _resolved(config[key]) for key in config if key != "hydra"}
    except Exception:  # OmegaConf's own, and what a resolver raises
        return None
    finally:
        hydra.cfg = before
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _resolved(value: object) -> object:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def taken_over(queue: TrialQueue, trial: optuna.Trial, config: DictConfig) -> Outcome | None:
    """What an equal trial has recorded; an outcome that waits while it runs; None: `trial` has to run."""
    digest = config_digest(config)
    if digest is None:
        return None
    held = queue.retrying(lambda: _claim(queue, trial, digest))
    if held is None:
        return None
    if held.state not in ENDED:
        return Outcome(TrialState.WAITING, attrs={WAITS_FOR: held.number})
    for step, value in sorted(held.intermediate_values.items()):
        queue.retrying(lambda step=step, value=value: trial.report(value, step))  # type: ignore[misc]
    for key, off in held.constraints.items():
        queue.retrying(lambda key=key, off=off: trial.set_constraint(key, off))  # type: ignore[misc]
    attrs = {key: held.user_attrs[key] for key in (SEEDS, SWEEP) if key in held.user_attrs}
    values = held.values if held.state == TrialState.COMPLETE else None
    return Outcome(held.state, values, {**attrs, EQUAL_TO: held.number})


def _claim(queue: TrialQueue, trial: optuna.Trial, digest: str) -> FrozenTrial | None:
    """The trial that has the config; None: it is `trial`'s from now on. Under the lock, so that one has it."""
    with queue.lock:
        held = _holder(queue.study.get_trials(deepcopy=False), trial.number, digest)
        if held is None:
            storage_of(queue.study).set_trial_user_attr(trial_id(trial), CONFIG, digest)
        return held


def _holder(trials: Sequence[FrozenTrial], number: int, digest: str) -> FrozenTrial | None:
    """Not one that failed: the next may succeed."""
    alike = [trial for trial in trials if trial.user_attrs.get(CONFIG) == digest and trial.state != TrialState.FAIL]
    if any(trial.number == number for trial in alike):
        return None  # it goes on with its own run
    return alike[0] if alike else None
