"""A run's checkpoints while it trains: saved and put back. The first process writes, all take part."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from exp.distributed import sharding, shards
from exp.errors import ExpError
from exp.loop import checkpoint as checkpoints
from exp.loop.checkpoint import Checkpoint
from exp.loop.random_states import random_states, restore_random_states
from exp.model.adapter_state import extra_state, restore_extra_state
from exp.run.folder import name_of, read_record

if TYPE_CHECKING:
    from exp.data.features import FeatureSet
    from exp.distributed.world import World
    from exp.optim.averaging import Average, OptimizersAverage
    from exp.options.settings import TrainingSettings
    from exp.run.folder import Run

log = logging.getLogger(__name__)


class Stateful(Protocol):
    """Something that a checkpoint holds: plain values that JSON has words for."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


def newest(folder: Path, world: World) -> Checkpoint | None:
    """The newest good checkpoint, the same for all processes."""
    found = checkpoints.newest_good(folder) if world.rank == 0 else None
    step = world.from_first(found.step if found else None)
    if step is None or world.rank == 0:
        return found
    path = folder / name_of(step)
    if not path.is_dir():
        raise ExpError(f"process {world.rank} does not see {path}: the run folder has to lie where all hosts see it")
    return Checkpoint(path, step)


class Saving:
    """The checkpoints of one run.

    Args:
        model, optimizer, scheduler: the prepared ones; `scaler` is fp16's, else None.
        average: of the weights, None where there is none.
        rows: the train split; of a stream a checkpoint holds the position.
        counters: what else goes on where it was, by the name it has in state.json.
    """

    def __init__(
        self,
        run: Run,
        world: World,
        settings: TrainingSettings,
        *,
        model: torch.nn.Module,
        optimizer: Any,
        scheduler: Any,
        scaler: Any,
        average: Average | OptimizersAverage | None,
        rows: FeatureSet,
        counters: Mapping[str, Stateful],
    ) -> None:
        self.run, self.world, self.settings = run, world, settings
        self.model, self.optimizer, self.scheduler, self.scaler = model, optimizer, scheduler, scaler
        self.average, self.rows, self.counters = average, rows, counters
        self.saved_step: int | None = None

    def begin(self) -> int:
        """Puts the newest checkpoint back, or seeds dropout: every process draws masks of its own.

        Returns:
            the optimizer steps already done.
        """
        found = newest(self.run.checkpoints, self.world)
        if found is None:
            torch.manual_seed(self.settings.dropout_seed + self.world.rank)
            np.random.seed(self.settings.dropout_seed + self.world.rank)  # wav2vec2 draws its masks of time from here
            return 0
        try:
            self._restore(found)
        except ExpError:
            raise
        except (TypeError, LookupError, AttributeError, ValueError) as error:  # whole, but of something else
            raise ExpError(
                f"{found.path} is not what this run saves ({type(error).__name__}: {' '.join(str(error).split())}); "
                f"go on from another checkpoint with resume=<run>/checkpoints/step-N"
            ) from error
        self.saved_step = found.step
        log.info("resumed from %s: step %d", found.path, found.step)
        return found.step

    def _restore(self, found: Checkpoint) -> None:
        state, training = found.state(), self._restore_weights(found)
        self.scheduler.load_state_dict(training["scheduler"])
        if self.scaler is not None and training["scaler"] is not None:
            self.scaler.load_state_dict(training["scaler"])
        for name, counter in self.counters.items():
            counter.restore(state["counters"][name])
        self.rows.restore(state.get("rows", {}))  # not in checkpoints of an older exp
        self._restore_randomness(training, found.step, state["processes"])
        if self.world.rank == 0:  # a kill may have come between the checkpoint and its links
            checkpoints.link(self.run.checkpoints, found.step, state["counters"]["stopping"]["best_step"])

    def save(self, step: int, best_step: int | None) -> bool:
        """Once a step, whoever asks; `best_step` is never deleted. Returns whether it was saved now."""
        if step == self.saved_step:
            return False
        world, first = self.world, self.world.rank == 0
        randoms = world.gather(random_states())
        rows = self.rows.together(world.gather(self.rows.state()))
        weights, optimizer = checkpoints.weights_of(checkpoints.bare(self.model)), self.optimizer.state_dict()
        parts = self._save_shards(step, weights, optimizer) if world.writes_shards else None
        if parts is None:
            weights, optimizer = (sharding.gather_whole(one, keep=first) for one in (weights, optimizer))
        else:
            weights, optimizer = shards.rest(weights), shards.rest(optimizer)
        if first:
            checkpoints.save(
                self.run.checkpoints,
                self._state(step, rows),
                weights,
                parts=parts,
                training={
                    "optimizer": optimizer,
                    "scheduler": self.scheduler.state_dict(),
                    "scaler": None if self.scaler is None else self.scaler.state_dict(),
                    "adapter": extra_state(checkpoints.bare(self.model)),  # type: ignore[arg-type]
                    "random": randoms,
                    **({} if self.average is None else {"average": self.average.state()}),
                },
            )
            checkpoints.link(self.run.checkpoints, step, best_step)
            checkpoints.prune(self.run.checkpoints, self.settings.save_total_limit, best_step)
        self.saved_step = step
        world.from_first(None)  # it is there for all
        return True

    def _save_shards(self, step: int, weights: Mapping[str, Any], optimizer: Mapping[str, Any]) -> dict[str, Any]:
        """Each process's part of what is cut. Returns what the manifest says of all."""
        world, folder = self.world, self.run.checkpoints
        with checkpoints.writing(folder, step):
            scratch = checkpoints.begin(folder, step) if world.rank == 0 else None
            scratch = world.from_first(scratch)
            cut = {**shards.flat(weights, "weights"), **shards.flat(optimizer, "optimizer")}
            files = shards.write(scratch / shards.FOLDER, cut, world.rank)
            said = {f"{shards.FOLDER}/{file.name}": checkpoints.said_of(file) for file in files}
        return {name: told for one in world.gather(said) for name, told in one.items()}

    def rewind(self) -> int | None:
        """Weights and optimizer go back to the newest checkpoint, the data go on. Returns its step, if there is one."""
        found = newest(self.run.checkpoints, self.world)
        if found is None:
            return None
        self._restore_weights(found)
        log.warning("weights and optimizer are back at step %d; the data goes on", found.step)
        return found.step

    def load_best(self, best_step: int | None, step: int) -> int:
        """Puts the weights of `best_step` back; returns the step whose weights the model then holds.

        The step is the one that the evaluations name; the link `best` is for people and is not asked.
        """
        if best_step is None or best_step == step:
            return step
        best = Checkpoint(self.run.checkpoints / name_of(best_step), best_step)
        damage = self.world.from_first(best.damage() if self.world.rank == 0 else None)
        if damage is not None:
            log.warning(
                "the best weights, of step %d, cannot be loaded (%s): those of step %d are saved instead",
                *(best_step, damage, step),
            )
            return step
        checkpoints.load_weights(best, checkpoints.bare(self.model))
        if self.average is not None:
            self.average.restore(checkpoints.load_training(best)["average"])
        log.info("loaded the best weights, of step %d", best_step)
        return best_step

    def _state(self, step: int, rows: Mapping[str, Any]) -> dict[str, Any]:
        metrics = self.run.metrics_path
        return {
            "step": step,
            "processes": self.world.size,
            "rows": rows,
            "counters": {name: counter.state() for name, counter in self.counters.items()},
            "metrics_bytes": metrics.stat().st_size if metrics.exists() else 0,
        }

    def _restore_weights(self, found: Checkpoint) -> dict[str, Any]:
        checkpoints.load_weights(found, checkpoints.bare(self.model))
        training = checkpoints.load_training(found, self.optimizer)
        self.optimizer.load_state_dict(training["optimizer"])
        restore_extra_state(checkpoints.bare(self.model), training["adapter"])  # type: ignore[arg-type]
        if self.average is not None:
            self.average.restore(training["average"])
        return training

    def _restore_randomness(self, training: dict[str, Any], step: int, before: int) -> None:
        world = self.world
        if before == world.size:
            restore_random_states(training["random"][world.rank])
            return
        # Neither the old masks nor those that any process has drawn before.
        torch.manual_seed(self.settings.dropout_seed + 1_000_003 * step + world.rank)
        change = {"step": step, "processes_before": before, "processes": world.size}
        self.run.update(processes_changed=[*read_record(self.run.folder).get("processes_changed", []), change])
        logging.getLogger("exp").warning(
            "%d processes until step %d, %d from here: examples, batches, learning rate and number of steps stay the "
            "same; dropout masks are drawn anew, and sums may differ in their last digits",
            *(before, step, world.size),
        )
