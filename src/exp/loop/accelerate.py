"""loop=accelerate: the whole training step, readable from top to bottom.

Accelerate brings devices, mixed precision and gradient clipping under a scaler; accumulation is written out, because
its `accumulate()` divides a short last group by the full count.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exp.loop.base import Parts
    from exp.loop.trial import Trial
    from exp.run.folder import Run
    from exp.run.result import Result
    from exp.tracker.base import Tracker


@dataclass(frozen=True)
class AccelerateLoop:
    def fit(self, parts: Parts, run: Run, tracker: Tracker, trial: Trial) -> Result:
        import torch

        from exp.compat.accelerate import forget_last_run
        from exp.distributed.world import accelerator_of
        from exp.loop.batching import epoch_batches, micro_loss, on_device, step_units
        from exp.loop.clipping import clip
        from exp.loop.session import Session

        settings, plan, world, train = parts.settings, parts.plan, parts.world, parts.encoded.train
        forget_last_run()
        accelerator = accelerator_of(world, parts.model, parts.mixed_precision)
        model, optimizer = accelerator.prepare(parts.model, parts.optimizer(parts.model))
        scheduler = parts.scheduler(optimizer.optimizer, plan.total_steps, plan.greater_is_better)
        plateau = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
        order = epoch_batches(parts)
        accumulation = settings.gradient_accumulation_steps
        session = Session(
            parts,
            run,
            tracker,
            trial,
            model=model,
            optimizer=optimizer,
            scheduler=scheduler,
            scaler=accelerator.scaler,
            device=accelerator.device,
        )
        try:
            done = session.begin()
            over = done >= plan.total_steps
            model.train()
            for epoch in range(done // plan.steps_per_epoch, plan.epochs):
                if over:
                    break
                order.set_epoch(epoch)
                train.begin_epoch(epoch, settings.data_seed)
                session.callbacks.epoch_begin()
                first = (
                    (done - epoch * plan.steps_per_epoch) * accumulation if epoch * plan.steps_per_epoch < done else 0
                )
                indices = islice(order, first, None)
                while group := list(islice(indices, accumulation)):
                    batches = [parts.collator([train[i] for i in world.own_examples(chosen)]) for chosen in group]
                    units = step_units(parts, group, batches)
                    total = world.total_units(sum(units))
                    loss = torch.zeros((), device=accelerator.device)
                    session.callbacks.step_begin()
                    for number, (batch, count) in enumerate(zip(batches, units, strict=True), start=1):
                        batch = on_device(batch, accelerator.device)
                        # Gradients meet those of other processes once a step, in its last backward pass.
                        with nullcontext() if number == len(group) else accelerator.no_sync(model):
                            # A mean over all units of the step: micro-batches may differ in their numbers.
                            part = micro_loss(parts, model, batch, count, total)
                            accelerator.backward(part)
                        loss += part.detach()
                        if number < len(group):
                            session.callbacks.substep_end()
                    session.before_clipping()
                    grad_norm = clip(accelerator, model, settings.max_grad_norm, session.logs_next())
                    lr = max(parameters["lr"] for parameters in optimizer.param_groups)
                    session.before_update(loss)
                    optimizer.step()
                    session.after_update()
                    if not (plateau or accelerator.optimizer_step_was_skipped):  # fp16 skips a step that overflowed
                        scheduler.step()
                    optimizer.zero_grad()
                    over = session.step_end(grad_norm, lr, [i for chosen in group for i in chosen])
                    if over:
                        break
            return session.finish()
        finally:
            session.close()
