"""The processes of a run while it trains: who computes what, and how their numbers become one.

`SingleProcessWorld` is the null object of one process. Of several, each takes every size-th example of a micro-batch.
So `size` processes do what one process does with micro-batches that are `size` times as large.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.distributed as dist

from exp.distributed import sharding
from exp.errors import ExpError
from exp.run.environment import cores
from exp.run.interrupts import Interrupts

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel

    from exp.distributed.joined_ranks import JoinedRanks
    from exp.distributed.options import Ddp, Fsdp

log = logging.getLogger("exp")
# Signals that stop a run; if several came, the first of these is named.
STOPS = tuple(number.name for number in Interrupts.watched)


class World(Protocol):
    rank: int
    size: int
    writes_shards: bool  # checkpoints hold each process's part of the model

    def arguments(self, model: PreTrainedModel) -> dict[str, Any]:
        """For accelerate.Accelerator."""
        ...

    def own_examples(self, batch: list[int]) -> list[int]:
        """This process's examples of a micro-batch. Never empty, because every process must take part."""
        ...

    def has_own_examples(self, batch: list[int]) -> bool:
        """Whether one of the examples in `own_examples` is this process's own."""
        ...

    def total_units(self, units: int) -> int:
        """The sum over all processes of the units of a step."""
        ...

    def scale_loss(self, loss: torch.Tensor, units: int, total: int) -> torch.Tensor:
        """A micro-batch's part of its step's loss, which is a mean over all units.

        Args:
            loss: the mean over the `units` of this process's share of a micro-batch.
            units: what the loss counts: examples, or tokens; 0 where the share is not this process's own.
            total: of all micro-batches and processes of the step.

        Returns:
            so scaled that the mean over processes of the sums over micro-batches is the mean over units.
        """
        ...

    def mean_loss(self, loss: torch.Tensor, stop: str | None) -> torch.Tensor:
        """The mean of a step's losses over the processes.

        `stop` is the signal that this process got; the same call tells all other processes.
        """
        ...

    def stop(self, own: str | None) -> str | None:
        """The signal that ends the run after this step, the same on all processes."""
        ...

    def from_first(self, value: Any) -> Any:
        """The first process's value, on all."""
        ...

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, on all, in their order."""
        ...

    def leave(self) -> None:
        """Ends the process group. What follows is done by the first process alone."""
        ...


class SingleProcessWorld:
    rank, size, writes_shards = 0, 1, False

    def arguments(self, model: PreTrainedModel) -> dict[str, Any]:
        return {}

    def own_examples(self, batch: list[int]) -> list[int]:
        return batch

    def has_own_examples(self, batch: list[int]) -> bool:
        return True

    def total_units(self, units: int) -> int:
        return units

    def scale_loss(self, loss: torch.Tensor, units: int, total: int) -> torch.Tensor:
        return _scaled(loss, units, total)

    def mean_loss(self, loss: torch.Tensor, stop: str | None) -> torch.Tensor:
        return loss

    def stop(self, own: str | None) -> str | None:
        return own

    def from_first(self, value: Any) -> Any:
        return value

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def leave(self) -> None:
        pass


SINGLE_PROCESS = SingleProcessWorld()


class ProcessGroupWorld:
    """Works with the others in torch's process group: gloo between CPUs, NCCL between GPUs.

    Raises ExpError for a GPU that is not there.
    """

    def __init__(self, together: JoinedRanks, option: Ddp | Fsdp) -> None:
        self.rank, self.size = together.place.rank, together.place.size
        self.together, self.option = together, option
        self.writes_shards = getattr(option, "state_dict_type", None) == "sharded"
        self.device = _device(together)
        # How many processes got which signal: of the step at work, and of the one before.
        self.asked = self.asked_before = torch.zeros(len(STOPS))
        if not dist.is_initialized():  # left by `leave`, else there for the next run of this launch
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo",
                store=together.store,
                rank=self.rank,
                world_size=self.size,
                timeout=timedelta(seconds=option.timeout),
            )

    def arguments(self, model: PreTrainedModel) -> dict[str, Any]:
        return {"cpu": self.device.type == "cpu", **self.option.arguments(model)}

    def own_examples(self, batch: list[int]) -> list[int]:
        return batch[self.rank :: self.size] or batch[:1]

    def has_own_examples(self, batch: list[int]) -> bool:
        return len(batch) > self.rank

    def total_units(self, units: int) -> int:
        count = torch.tensor(units, dtype=torch.int64, device=self.device)
        dist.all_reduce(count)
        return int(count)

    def scale_loss(self, loss: torch.Tensor, units: int, total: int) -> torch.Tensor:
        return _scaled(loss, units * self.size, total)  # a mean over processes divides by their number

    def mean_loss(self, loss: torch.Tensor, stop: str | None) -> torch.Tensor:
        row = [0.0, *(float(name == stop) for name in STOPS)]
        sums = torch.tensor(row, dtype=torch.float64, device=self.device)
        sums[0] = loss
        dist.all_reduce(sums)
        self.asked_before, self.asked = self.asked, sums[1:]
        return sums[0] / self.size

    def stop(self, own: str | None) -> str | None:
        # A GPU computes ahead. The counts of the step before are there without waiting for it.
        counts = self.asked if self.device.type == "cpu" else self.asked_before
        return next((name for name, count in zip(STOPS, counts.tolist(), strict=True) if count), None)

    def from_first(self, value: Any) -> Any:
        box = [value if self.rank == 0 else None]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def leave(self) -> None:
        self.gather(None)
        self.together.heartbeat.stop()
        dist.destroy_process_group()


def _scaled(loss: torch.Tensor, units: int, total: int) -> torch.Tensor:
    if units == 0:  # a micro-batch without a unit has no mean: NaN
        return torch.nan_to_num(loss) * 0.0
    return loss if units == total else loss * (units / total)


def _device(together: JoinedRanks) -> torch.device:
    place = together.place
    if not torch.cuda.is_available():
        asked = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        if asked not in ("", "-1"):
            raise ExpError(
                f"CUDA_VISIBLE_DEVICES={asked} asks for GPUs, and torch {torch.__version__} finds none here: look at "
                f"nvidia-smi and at the torch build, or unset the variable to train on the CPU"
            )
        _warn_of_few_cores(int(os.environ.get("LOCAL_WORLD_SIZE", 1)), place.first)
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if place.local_rank >= count:
        raise ExpError(
            f"process {place.rank} is number {place.local_rank + 1} on its host and wants a GPU of its own; there "
            f"{'is' if count == 1 else 'are'} {count}. Start {count} a host (torchrun --nproc-per-node {count}), or "
            f"hide the GPUs to train on the CPU (CUDA_VISIBLE_DEVICES=)"
        )
    device = torch.device("cuda", place.local_rank)
    torch.cuda.set_device(device)
    return device


def _warn_of_few_cores(started: int, first: bool) -> None:
    """`started`: processes on this host, as torchrun says it."""
    have = cores()
    if first and started > have:
        log.warning("%d processes share %d cores here and wait for each other; start %d at most", started, have, have)


def accelerator_of(world: World, model: PreTrainedModel, mixed_precision: str) -> Accelerator:
    from accelerate import Accelerator

    arguments = world.arguments(model)
    made = Accelerator(mixed_precision=mixed_precision, **arguments)
    sharding.shard_on_cpu(made, arguments.get("fsdp_plugin"))
    return made


def own_batches(world: World, batches: Sequence[list[int]]) -> list[list[int]]:
    """This process's batches of an evaluation. All get equally many, because a sharded model computes in step; what
    is one too many repeats the first batch, and the caller leaves it out."""
    own = list(batches[world.rank :: world.size])
    return own + list(batches[:1]) * (-(-len(batches) // world.size) - len(own))


def in_batch_order(world: World, found: list[Any], count: int) -> list[Any]:
    """What all processes found for their `own_batches`, in the order of all `count` batches, repeated ones left out."""
    everybody = world.gather(found)
    if not found:  # unlabelled: nobody has any
        return []
    return [everybody[number % world.size][number // world.size] for number in range(count)]
