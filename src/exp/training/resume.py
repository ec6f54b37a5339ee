"""Going on with a run: what may change, where it goes on from, and which run `resume=auto` means."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exp.errors import ExpError
from exp.run.events import read_events
from exp.run.files import write_atomic
from exp.run.folder import Run, read_config, read_record
from exp.run.identity import condition_hash, counts, flatten
from exp.run.lock import is_locked

log = logging.getLogger(__name__)

# May differ between a run and its continuation: they change no number.
FREE = ("resume", "tracker", "cache_dir", "save_total_limit", "hub")
# Schedules whose rate at a step does not depend on how many steps there will be.
OPEN_ENDED = {
    "ConstantScheduler": "constant",
    "ConstantWithWarmupScheduler": "constant_with_warmup",
    "InverseSqrtScheduler": "inverse_sqrt",
    "ReduceOnPlateauScheduler": "reduce_on_plateau",
}


def check_goes_on(folder: Path, config: Mapping[str, Any]) -> None:
    """Raises ExpError where `config` is not that of the run in `folder`, or where the run is complete."""
    record, saved = read_record(folder), read_config(folder)
    if "distributed" in record["config"]:  # the file may say that the launcher decides, the record says what it did
        saved["distributed"] = record["config"]["distributed"]
    changed = changes(saved, config)
    longer = _longer(changed)
    if record["status"] == "completed" and not longer:
        raise ExpError(f"{folder} is complete; nothing was changed. Start a new run, or raise num_train_epochs")
    if longer:
        _check_schedule(config, saved)
        changed = {key: pair for key, pair in changed.items() if key not in longer}
    if changed:
        told = ", ".join(f"{key} (was {old}, now {new})" for key, (old, new) in sorted(changed.items()))
        raise ExpError(f"a resumed run keeps its config, and this changes {told}; start a new run for it")


def save_config(folder: Path, config: Mapping[str, Any]) -> None:
    """What the run is from now on, where it was made longer; for later resumes and for readers."""
    if changes(read_config(folder), config):
        from omegaconf import OmegaConf

        write_atomic(folder / ".hydra" / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(dict(config))))


def changes(saved: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose value differs, with (old, new); keys in FREE are left out."""
    old, new = dict(flatten(saved)), dict(flatten(config))
    return {
        key: (old.get(key), new.get(key)) for key in {*old, *new} if not _free(key) and old.get(key) != new.get(key)
    }


def _free(key: str) -> bool:
    group = key.split(".")[0]
    return group in FREE or (group == "distributed" and not counts(key))


def check_same(configs: Sequence[Mapping[str, Any]]) -> None:
    """Raises ExpError where the processes of one run were started with different words."""
    for rank, config in enumerate(configs[1:], start=1):
        changed = changes(configs[0], config)
        if changed:
            key, (first, other) = sorted(changed.items())[0]
            raise ExpError(
                f"the processes of this run have different configs: {key} is {first} in process 0 and {other} in "
                f"process {rank}. Start all with the same words"
            )


def _longer(changed: Mapping[str, tuple[Any, Any]]) -> set[str]:
    """The keys in `changed` that only make the run longer."""
    return {
        key
        for key in ("num_train_epochs", "max_steps")
        if key in changed and isinstance(changed[key][0], int | float) and 0 < changed[key][0] < changed[key][1]
    }


def _check_schedule(config: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    name = config["scheduler"]["_target_"].rpartition(".")[2]
    if name not in OPEN_ENDED:
        raise ExpError(
            f"scheduler={name} spreads its rate over the whole run, so the steps done so far were made for "
            f"num_train_epochs={saved['num_train_epochs']}; only {', '.join(OPEN_ENDED.values())} can be made longer"
        )
    if config["scheduler"].get("warmup_ratio"):
        raise ExpError("scheduler.warmup_ratio would give a longer run a longer warmup than it had; start a new run")


def go_back(run: Run) -> None:
    """Cuts metrics.jsonl to what it held at the newest good checkpoint; what comes after is made again."""
    from exp.loop.checkpoint import clear_scratch, newest_good

    clear_scratch(run.checkpoints)
    found = newest_good(run.checkpoints)
    step, metrics_bytes = (found.step, found.state()["metrics_bytes"]) if found else (0, 0)
    if found is None:
        log.info("no checkpoint in %s: the run starts anew", run.checkpoints)
    if not run.metrics_path.exists() or run.metrics_path.stat().st_size == metrics_bytes:
        return
    before = read_events(run.metrics_path)
    os.truncate(run.metrics_path, metrics_bytes)
    dropped = len(before) - len(read_events(run.metrics_path))
    highest = max((event.step for event in before), default=0)
    # A tracker outside the folder has seen these; it does not get them twice.
    run.update(logged_until=max(highest, read_record(run.folder).get("logged_until", 0)))
    log.info("metrics.jsonl: %d events after step %d dropped, they are made again", dropped, step)


def interrupted_run(config: Mapping[str, Any], root: Path) -> Path | None:
    """The newest run below `root` of the same condition and seeds that stopped before its end; None if there is none.

    A run that failed is not taken: it would fail again.
    """
    cache_dir = Path(config["cache_dir"])
    condition = condition_hash(config, cache_dir)
    candidates = []
    for record_path in root.rglob("run.json"):
        folder = record_path.parent
        try:
            record = read_record(folder)
            same = record["condition"] == condition and not _other_seeds(read_config(folder), config)
        except ExpError:
            continue
        if same and record["status"] in ("interrupted", "running") and not is_locked(folder):
            candidates.append((record["created"], folder))
    return max(candidates)[1] if candidates else None


def _other_seeds(saved: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    return any(saved[key] != config[key] for key in ("seed", "init_seed", "data_seed", "dropout_seed"))
