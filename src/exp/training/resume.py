"""Going on with a run: what may change, where it goes on from, and which run `resume=auto` means."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.run.continuation import changes, check_version
from exp.run.differences import since
from exp.run.events import cut, read_events
from exp.run.files import disk_trouble, finite, user_path, write_atomic
from exp.run.folder import Run, name_of, read_config, read_record, reopen, step_of, surroundings
from exp.run.identity import condition_hash, fingerprints, flatten
from exp.run.option_name import option_name
from exp.run.secrets import redacted

if TYPE_CHECKING:
    from exp.loop.checkpoint import Checkpoint

log = logging.getLogger(__name__)

# Schedules whose rate at a step does not depend on how many steps there will be.
OPEN_ENDED = ("constant", "constant_with_warmup", "inverse_sqrt", "reduce_on_plateau")


def check_goes_on(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """What of run.json changes when the run goes on with `config`.

    Compares with what was recorded when the run began, not with files that can be edited. Raises ExpError where the
    config, the data or the model files are others now, where the run is complete, or where its folder cannot be
    written.
    """
    record = read_record(folder)
    check_version(folder, record)
    named_step(folder, config["resume"])
    saved, before = record["config"], record["paths"]
    now = fingerprints(config, user_path(config["cache_dir"]))
    changed = changes(saved, finite(redacted(dict(config))))
    # Another path that holds the same is no change. A folder of data may hold more than the data: where the run has
    # read its rows, check_same_data compares these.
    moved = {key for key in changed if key in before and key in now and now[key] == before[key]}
    not_compared = {"data.path"} if (record.get("data") or {}).get("fingerprint") else set()
    if any((folder / "checkpoints").glob("step-*")):
        not_compared.add("init_checkpoint")  # the run has weights of its own by now
    changed = {key: pair for key, pair in changed.items() if key not in moved | not_compared}
    longer = _longer(changed)
    if longer:
        _check_schedule(config, saved)
        changed = {key: pair for key, pair in changed.items() if key not in longer}
    if changed:
        told = ", ".join(f"{key} (was {old}, now {new})" for key, (old, new) in sorted(changed.items()))
        raise ExpError(f"a resumed run keeps its config, and this changes {told}; {_new_run(folder)}")
    if record["status"] == "completed" and not longer:
        raise ExpError(f"{folder} is complete; nothing was changed. Start a new run, or raise num_train_epochs")
    for key in sorted(set(before) - not_compared):
        if now.get(key) != before[key]:
            what = "holds other contents than when the run began" if key in now else "is not there any more"
            raise ExpError(f"{key}={dict(flatten(config))[key]} {what}; put the old ones back, or {_new_run(folder)}")
    _check_folder(folder)
    return {"condition": condition_hash(config, known={**now, **before})} if longer else {}


def _check_folder(folder: Path) -> None:
    """Raises ExpError where the run folder cannot be written, or where a link in it would be written through."""
    for place in (folder, *(folder / name for name in (".hydra", "checkpoints", "model", "predictions", "errors"))):
        if not place.is_dir():
            continue
        for path in (place, *place.iterdir()):
            if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()) and path != folder:
                raise ExpError(f"{path} is a link out of the run folder, and a run writes only into its own; remove it")
    probe = folder / f".probe.{os.getpid()}"
    try:
        probe.write_text("x" * 4096)
    except OSError as error:
        raise cannot_write(folder, error) from None
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def cannot_write(folder: Path, error: OSError) -> ExpError:
    return ExpError(
        f"cannot write into {folder}: {disk_trouble(error) or error.strerror or error}. Make room or give the right to "
        f"write, then go on with resume={folder}; or copy the folder elsewhere (cp -a) and go on there"
    )


def _new_run(folder: Path) -> str:
    """How the weights can be used all the same."""
    if any((folder / "checkpoints").glob("step-*")):
        return f"start a new run for it, from these weights with init_checkpoint={folder}/checkpoints/latest"
    return "start a new run for it"


def check_same_data(run: Run, fingerprint: str) -> None:
    """Raises ExpError where the rows that were read are not those that the run was trained on before."""
    before = (read_record(run.folder).get("data") or {}).get("fingerprint")
    if before not in (None, fingerprint):
        raise ExpError(
            f"the data have other rows, texts or labels than when this run began (fingerprint {before[:12]}, now "
            f"{fingerprint[:12]}); put them back, say where they lie (data.path=...), or {_new_run(run.folder)}"
        )


@contextmanager
def told_where_started(folder: Path | None) -> Iterator[None]:
    """Around the check of a run that goes on (in `folder`): where its files are gone, the message says what helps."""
    try:
        yield
    except ExpError as error:
        record = read_record(folder) if folder is not None else {}
        paths, config = record.get("paths", {}), dict(flatten(record.get("config", {})))
        gone = [key for key in paths if isinstance(config.get(key), str) and not Path(config[key]).exists()]
        if not gone:
            raise
        there = (
            "" if record["cwd"] == str(Path.cwd()) else f"The run was started in {record['cwd']}: go on from there. "
        )
        raise ExpError(f"{error}. {there}Files that moved can be named anew: {gone[0]}=...") from None


def go_on(folder: Path, config: Mapping[str, Any]) -> Run:
    """Opens the run in `folder` again, at the checkpoint that `resume` names or at its newest."""
    fields = check_goes_on(folder, config)
    step = named_step(folder, config["resume"])
    if step is not None:
        check_goes_on_from(folder, step, config)
    changed = since(read_record(folder), surroundings())
    if changed:
        log.warning("since this run began: %s; its numbers may differ from here on", "; ".join(changed))
        fields["changed_on_resume"] = [*read_record(folder).get("changed_on_resume", []), changed]
    save_config(folder, config)
    run = reopen(folder, config, **fields)
    go_back(run, step)
    return run


def named_step(folder: Path, resume: str | None) -> int | None:
    """The step of the checkpoint that `resume` names; None where it names the run folder or its checkpoints."""
    if resume in (None, "auto"):
        return None
    path = Path(resume).expanduser().resolve()
    step = step_of(path)
    if step is not None and path.parent == (folder / "checkpoints").resolve():
        return step
    if path in (folder.resolve(), (folder / "checkpoints").resolve()):
        return None
    raise ExpError(f"resume={resume} is neither a run folder nor a checkpoint that a run can go on from")


def check_goes_on_from(folder: Path, step: int, config: Mapping[str, Any]) -> None:
    """Raises ExpError where the checkpoint of `step` is damaged, or the best weights up to then are gone."""
    from exp.loop.checkpoint import Checkpoint

    found = Checkpoint(folder / "checkpoints" / name_of(step), step)
    if damage := found.damage():
        raise ExpError(f"{found.path} is damaged ({damage}); leave its name out to go on from another: resume={folder}")
    best = _state(found)["counters"]["stopping"]["best_step"]
    if config["load_best_model_at_end"] and best not in (None, step):
        kept = Checkpoint(folder / "checkpoints" / name_of(best), best)
        if damage := kept.damage():
            raise ExpError(
                f"{found.path} cannot be gone on from: the best weights until then, of step {best}, are gone "
                f"({damage}). Go on from the newest checkpoint: resume={folder}"
            )


def _state(found: Checkpoint) -> dict[str, Any]:
    state = found.state()
    if not {"counters", "metrics_bytes", "processes"} <= set(state):
        raise ExpError(f"{found.path} was written by the first version of exp, and this one cannot go on from it")
    return state


def save_config(folder: Path, config: Mapping[str, Any]) -> None:
    """What the run is from now on, where it was made longer or its files moved; for later resumes."""
    if changes(read_config(folder), config):
        from omegaconf import OmegaConf

        text = OmegaConf.to_yaml(OmegaConf.create(redacted(dict(config))))
        write_atomic(folder / ".hydra" / "config.yaml", text)


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
    name = option_name("scheduler", config["scheduler"]["_target_"])
    if name not in OPEN_ENDED:
        raise ExpError(
            f"scheduler={name} spreads its rate over the whole run, so the steps done so far were made for "
            f"num_train_epochs={saved['num_train_epochs']}; only {', '.join(OPEN_ENDED)} can be made longer"
        )
    if config["scheduler"].get("warmup_ratio"):
        raise ExpError("scheduler.warmup_ratio would give a longer run a longer warmup than it had; start a new run")


def go_back(run: Run, step: int | None = None) -> None:
    """Cuts metrics.jsonl to what it held at a checkpoint; what comes after is made again.

    Args:
        step: of the checkpoint, later ones are set aside; None: the newest good one.
    """
    from exp.loop.checkpoint import clear_scratch, newest_good, set_aside

    clear_scratch(run.checkpoints)
    if step is not None and (later := set_aside(run.checkpoints, step)):
        log.info("the checkpoints of steps %s were moved to checkpoints/set_aside", ", ".join(map(str, later)))
    found = newest_good(run.checkpoints)
    at, size = (found.step, _state(found)["metrics_bytes"]) if found else (0, 0)
    if found is None:
        log.info("no checkpoint in %s: the run starts anew", run.checkpoints)
    before = read_events(run.metrics_path)
    dropped, lost = cut(run.metrics_path, size, at)
    if lost:
        log.warning(
            "metrics.jsonl is shorter than it was at the checkpoint of step %d: it was changed since. Its %d whole "
            "events are kept, the others up to that step are lost",
            at,
            len(before) - dropped,
        )
    if dropped:
        # A tracker outside the folder has seen these; it does not get them twice.
        highest = max(event.step for event in before)
        run.update(logged_until=max(highest, read_record(run.folder).get("logged_until", 0)))
        log.info("metrics.jsonl: %d events after step %d dropped, they are made again", dropped, at)
