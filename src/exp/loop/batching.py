"""Which examples come when: the same order for both loops, a function of the seed and the epoch alone.

Because an epoch's order depends on nothing that came before it, a run resumes in the middle of an epoch exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch.utils.data import DataLoader, Sampler

from exp.loop.token_batches import token_batches

if TYPE_CHECKING:
    from exp.distributed.world import World
    from exp.loop.base import Parts


class EpochBatches(Sampler[list[int]]):
    """Index lists of one epoch's micro-batches.

    `random` permutes with a generator seeded by `seed + epoch`, which is Accelerate's rule (SeedableRandomSampler)
    and so the order of a stock Trainer. `length_grouped` sorts by length inside pools of 50 batches of that
    permutation, then deals the batches of all pools in random order, the longest batch first: what would run out
    of memory does so at once. `packed` has the batches of `random`, or of at most `max_tokens` tokens.
    `in_order`: rows as they are numbered, because a stream has shuffled them.
    """

    pool = 50  # batches, as in transformers' get_length_grouped_indices

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        mode: str,
        *,
        max_tokens: int | None = None,
        count: int | None = None,  # batches of an epoch, where `max_tokens` cuts them
        in_order: bool = False,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.mode = mode
        self.max_tokens = max_tokens
        self.in_order = in_order
        self.count = -(-len(lengths) // batch_size) if count is None else count
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        if self.in_order:
            size = self.batch_size
            return (list(range(number * size, (number + 1) * size)) for number in range(self.count))
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        if self.max_tokens is not None:
            found = token_batches(order, self.lengths, self.max_tokens, self.count)
            return iter([found[i] for i in torch.randperm(len(found), generator=generator).tolist()])
        if self.mode != "length_grouped":
            return iter(_chunks(order, self.batch_size))
        batches: list[list[int]] = []
        for pool in _chunks(order, self.pool * self.batch_size):
            batches += _chunks(sorted(pool, key=lambda i: -self.lengths[i]), self.batch_size)
        # Only whole batches change places, so that the short one stays the last of its epoch.
        whole = [batch for batch in batches if len(batch) == self.batch_size]
        short = [batch for batch in batches if len(batch) < self.batch_size]
        dealt = [whole[i] for i in torch.randperm(len(whole), generator=generator).tolist()]
        if dealt:
            longest = max(range(len(dealt)), key=lambda i: self.lengths[dealt[i][0]])
            dealt[0], dealt[longest] = dealt[longest], dealt[0]
        return iter(dealt + short)


def _chunks(items: list[int], size: int) -> list[list[int]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


class Shares(Sampler[list[int]]):
    """Of each batch of `order` the examples of this process."""

    def __init__(self, order: EpochBatches, world: World) -> None:
        self.order, self.world = order, world

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[list[int]]:
        return map(self.world.own_examples, self.order)


def epoch_batches(parts: Parts) -> EpochBatches:
    """The micro-batches of all processes together."""
    settings, plan, train = parts.settings, parts.plan, parts.encoded.train
    return EpochBatches(
        train.lengths,
        plan.batch_size,
        settings.data_seed,
        settings.batching,
        max_tokens=plan.max_tokens,
        count=plan.batches_per_epoch,
        in_order=train.in_order,
    )


def step_units(parts: Parts, group: Sequence[list[int]], batches: Sequence[Mapping[str, torch.Tensor]]) -> list[int]:
    """What the loss of each micro-batch of a step is a mean over, on this process; `group` as the order has them."""
    pairs = zip(group, batches, strict=True)
    return [parts.task.units(batch) if parts.world.has_own_examples(chosen) else 0 for chosen, batch in pairs]


def micro_loss(
    parts: Parts, model: torch.nn.Module, batch: Mapping[str, torch.Tensor], units: int, total: int
) -> torch.Tensor:
    """A micro-batch's part of its step's loss: the one place where both loops compute it.

    Args:
        model: the prepared one.
        batch: on the model's device.
        units: of this micro-batch on this process.
        total: of all micro-batches and processes of the step.
    """
    return parts.world.scale_loss(parts.step_loss(model, batch), units, total)


def on_device(batch: Mapping[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """A GPU copies from pinned memory while the processor goes on; from other memory it waits for the GPU."""
    if device.type == "cuda":
        return {key: value.pin_memory().to(device, non_blocking=True) for key, value in batch.items()}
    return {key: value.to(device) for key, value in batch.items()}


def train_loader(parts: Parts, order: EpochBatches) -> DataLoader:
    """This process's examples of one epoch, in the order of `order`, whose `set_epoch` it follows."""
    return DataLoader(
        parts.encoded.train,  # type: ignore[arg-type]
        batch_sampler=Shares(order, parts.world),
        collate_fn=parts.collator,
        # DataLoader draws a base seed for its workers from here; the global generator belongs to dropout.
        generator=torch.Generator(),
    )
