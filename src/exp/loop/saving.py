"""A session's checkpoints: what is saved of it, and how it is put back. The first process writes, all take part."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch

from exp.distributed import sharding
from exp.errors import ExpError
from exp.loop import checkpoint as checkpoints
from exp.loop.checkpoint import Checkpoint
from exp.model.adapter_state import extra_state, restore_extra_state
from exp.run.folder import read_record

if TYPE_CHECKING:
    from pathlib import Path

    from exp.distributed.world import World
    from exp.loop.session import Session

log = logging.getLogger(__name__)


def newest(folder: Path, world: World) -> Checkpoint | None:
    """The newest good checkpoint, the same for all processes."""
    found = checkpoints.newest_good(folder) if world.rank == 0 else None
    step = world.from_first(found.step if found else None)
    if step is None or world.rank == 0:
        return found
    path = folder / checkpoints.name_of(step)
    if not path.is_dir():
        raise ExpError(f"process {world.rank} does not see {path}: the run folder has to lie where all hosts see it")
    return Checkpoint(path, step)


def begin(session: Session) -> None:
    """Puts the newest checkpoint back, or seeds dropout: every process draws masks of its own."""
    found = newest(session.run.checkpoints, session.world)
    if found is None:
        torch.manual_seed(session.settings.dropout_seed + session.world.rank)
    else:
        _restore(session, found)


def save(session: Session, best: bool) -> None:
    world, first = session.world, session.world.rank == 0
    randoms = world.gather(checkpoints.random_states())
    weights = sharding.whole(checkpoints.weights_of(checkpoints.bare(session.model)), keep=first)
    optimizer = sharding.whole(session.optimizer.state_dict(), keep=first)
    if first:
        checkpoints.save(
            session.run.checkpoints,
            _state(session),
            weights,
            {
                "optimizer": optimizer,
                "scheduler": session.scheduler.state_dict(),
                "scaler": None if session.scaler is None else session.scaler.state_dict(),
                "loss_sum": session.loss_sum.cpu(),
                "adapter": extra_state(checkpoints.bare(session.model)),  # type: ignore[arg-type]
                "random": randoms[0],
                "random_of_others": randoms[1:],
            },
            best=best,
        )
        checkpoints.prune(session.run.checkpoints, session.settings.save_total_limit)
    world.from_first(None)  # it is there for all


def _state(session: Session) -> dict[str, Any]:
    metrics = session.run.metrics_path
    return {
        "step": session.step,
        "processes": session.world.size,
        "loss_count": session.loss_count,
        "best": session.records.best,
        "last": session.records.last,
        "stopping": [session.stopping.best, session.stopping.best_step, session.stopping.waited],
        "bad_loss": session.bad_loss.state(),
        "cost": session.cost.state(),
        "metrics_bytes": metrics.stat().st_size if metrics.exists() else 0,
    }


def _restore(session: Session, found: Checkpoint) -> None:
    state, training = found.state(), _restore_weights(session, found)
    session.scheduler.load_state_dict(training["scheduler"])
    if session.scaler is not None and training["scaler"] is not None:
        session.scaler.load_state_dict(training["scaler"])
    session.loss_sum.copy_(training["loss_sum"])
    session.step, session.loss_count = state["step"], state["loss_count"]
    session.records.best, session.records.last = state["best"], state["last"]
    session.stopping.best, session.stopping.best_step, session.stopping.waited = state["stopping"]
    session.bad_loss.restore(state["bad_loss"])
    session.cost.restore(state["cost"])
    _restore_randomness(session, training, state.get("processes", 1))
    log.info("resumed from %s: step %d of %d", found.path, session.step, session.plan.total_steps)


def _restore_randomness(session: Session, training: dict[str, Any], before: int) -> None:
    world = session.world
    saved = [training["random"], *training.get("random_of_others", [])]
    if before == world.size:
        checkpoints.restore_random_states(saved[world.rank])
        return
    # Neither the old masks nor those that any process has drawn before.
    torch.manual_seed(session.settings.dropout_seed + 1_000_003 * session.step + world.rank)
    change = {"step": session.step, "processes_before": before, "processes": world.size}
    session.run.update(processes_changed=[*read_record(session.run.folder).get("processes_changed", []), change])
    logging.getLogger("exp").warning(
        "%d processes until step %d, %d from here: examples, batches, learning rate and number of steps stay the same; "
        "dropout masks are drawn anew, and sums may differ in their last digits",
        *(before, session.step, world.size),
    )


def _restore_weights(session: Session, found: Checkpoint) -> dict[str, Any]:
    checkpoints.load_weights(found, checkpoints.bare(session.model))
    training = checkpoints.load_training(found)
    session.optimizer.load_state_dict(sharding.optimizer_like(training["optimizer"], session.optimizer))
    restore_extra_state(checkpoints.bare(session.model), training["adapter"])  # type: ignore[arg-type]
    return training


def rewind(session: Session) -> None:
    """Weights and optimizer go back to the newest checkpoint, the data go on."""
    found = newest(session.run.checkpoints, session.world)
    if found is None:
        raise session.bad_loss.error(session.step + 1, "on_bad_loss=rewind found no checkpoint to go back to")
    _restore_weights(session, found)
    log.warning("weights and optimizer are back at step %d; the data goes on", found.step)


def load_best(session: Session) -> bool:
    """False where the weights are the best ones already, or no best ones were saved."""
    best, step = session.run.checkpoints / "best", session.stopping.best_step
    if not best.exists() or step is None or step == session.step:
        return False
    checkpoints.load_weights(Checkpoint(best.resolve(), step), checkpoints.bare(session.model))
    log.info("loaded the best weights, of step %d", step)
    return True
