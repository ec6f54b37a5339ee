"""The one subclass of transformers.Trainer: each override with its reason (tests/loop/test_trainer.py watches them)."""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerState

from exp.compat.accelerate import forget_last_run
from exp.distributed import sharding
from exp.loop import saving
from exp.loop.batching import EpochBatches, epoch_batches, micro_loss, on_device, step_units, train_loader
from exp.loop.clipping import clip
from exp.loop.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.utils.data import DataLoader

    from exp.loop.base import Parts
    from exp.loop.trial import Trial
    from exp.run.folder import Run
    from exp.run.result import Result
    from exp.tracker.base import Tracker

log = logging.getLogger(__name__)


class SharedTrainer(Trainer):
    """Trainer as it is, but for what has to agree with loop=accelerate."""

    parts: Parts
    loader: DataLoader
    session: Session
    batches: Iterator[list[int]]  # of the epoch at work, from where it is
    units: Iterator[int]  # of the step at work, one for each micro-batch
    loss_is_scaled_for_ga = True  # compute_loss has divided already
    grad_norm: torch.Tensor | float = 0.0
    loss: torch.Tensor | None = None

    def get_train_dataloader(self) -> DataLoader:
        """Our order of examples, a function of seed and epoch; Trainer's draws from the global generator."""
        return self.loader

    def _build_accelerator_args(self, **kwargs: Any) -> dict[str, Any]:
        """As in loop=accelerate; Trainer would walk the graph for unused parameters at every step."""
        return {**super()._build_accelerator_args(**kwargs), **self.args.parts.world.arguments(self.args.parts.model)}

    def create_accelerator_and_postprocess(self) -> None:
        """Sharding works on a CPU too, which Accelerate does not know."""
        super().create_accelerator_and_postprocess()
        sharding.shard_on_cpu(
            self.accelerator, self.args.parts.world.arguments(self.args.parts.model).get("fsdp_plugin")
        )
        self.is_fsdp_enabled = self.accelerator.is_fsdp2

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor | int | None]:
        """Counts what the task's loss is a mean over; Trainer counts labels, whatever the model does with them."""
        samples, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        group = list(islice(self.batches, len(samples)))
        units = step_units(self.parts, group, samples)
        self.units, total = iter(units), self.parts.world.total_units(sum(units))
        return samples, total

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The micro-batch's part of a mean over all units of the step; Trainer's is a mean of means for classifiers."""
        assert not return_outputs  # evaluation is the session's
        return micro_loss(self.parts, model, inputs, next(self.units), num_items_in_batch)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Sums the micro-batches' losses of one optimizer step; Trainer keeps only a sum since the last log."""
        inputs = on_device(inputs, self.args.device)
        loss = super().training_step(model, inputs, num_items_in_batch)
        self.loss = loss if self.loss is None else self.loss + loss
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        """The same function as in loop=accelerate, in place of Accelerate's."""
        return self._get_grad_norm(model)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Kept for the log; callbacks are not shown it. Trainer calls both, or this one alone without clipping."""
        if grad_norm is None:
            self.session.before_clipping()
            grad_norm = clip(self.accelerator, model, self.args.max_grad_norm, self.session.logs_next())
        self.grad_norm = grad_norm
        return grad_norm

    def floating_point_ops(self, inputs: Any) -> int:
        """Counted once a run by exp.loop.cost; Trainer walks all parameters at every micro-batch."""
        return 0

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The session restores weights, optimizer, scheduler and random states from its own checkpoint."""

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """See _load_from_checkpoint."""

    def _load_scaler(self, checkpoint: str | None) -> None:
        """See _load_from_checkpoint."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """See _load_from_checkpoint."""


class Steps(TrainerCallback):
    """Hands every step to the session, and the session's decisions back to Trainer."""

    def __init__(self, trainer: SharedTrainer, order: EpochBatches, make_session: Any) -> None:
        self.trainer, self.order, self.make_session = trainer, order, make_session
        self.session: Session | None = None
        self.lr = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.session = self.trainer.session = self.make_session(kwargs["model"])
        self.session.begin()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.session is not None
        plan = self.session.plan
        epoch, within = divmod(self.session.step, plan.steps_per_epoch)
        self.order.set_epoch(epoch)
        self.trainer.parts.encoded.train.begin_epoch(epoch, self.session.settings.data_seed)
        accumulation = self.session.settings.gradient_accumulation_steps
        self.batches, self.trainer.batches = (islice(self.order, within * accumulation, None) for _ in range(2))
        self.session.callbacks.epoch_begin()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.session is not None
        self.session.callbacks.step_begin()

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.session is not None
        self.session.callbacks.substep_end()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.session is not None and self.trainer.loss is not None
        self.lr = max(group["lr"] for group in self.trainer.optimizer.param_groups)
        self.session.before_update(self.trainer.loss)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.session is not None
        self.session.after_update()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.session is not None and self.trainer.loss is not None
        group = islice(self.batches, self.session.settings.gradient_accumulation_steps)
        self.trainer.loss = None
        seen = [i for chosen in group for i in chosen]
        control.should_training_stop = self.session.step_end(self.trainer.grad_norm, self.lr, seen)


def fit(parts: Parts, run: Run, tracker: Tracker, trial: Trial) -> Result:
    settings, plan = parts.settings, parts.plan
    forget_last_run()
    on_cpu = not (torch.cuda.is_available() or torch.backends.mps.is_available())
    arguments = TrainingArguments(
        output_dir=str(run.checkpoints),
        max_steps=plan.total_steps,
        per_device_train_batch_size=settings.per_device_train_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        max_grad_norm=settings.max_grad_norm,
        bf16=parts.mixed_precision == "bf16",
        fp16=parts.mixed_precision == "fp16",
        use_cpu=on_cpu,  # without it Trainer refuses bf16 on a CPU
        dataloader_pin_memory=not on_cpu,
        seed=settings.dropout_seed,
        logging_nan_inf_filter=False,  # it would show a NaN loss as 0
        # Logging, evaluation and saving are the session's, the same for both loops.
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    optimizer = parts.optimizer(parts.model)
    scheduler = parts.scheduler(optimizer, plan.total_steps, plan.greater_is_better)
    arguments.parts = parts  # asked by overrides before Trainer's __init__ is through
    trainer = SharedTrainer(
        model=parts.model,
        args=arguments,
        train_dataset=parts.encoded.train,
        data_collator=parts.collator,
        processing_class=None,
    )
    trainer.parts = parts
    trainer.optimizer, trainer.lr_scheduler = optimizer, scheduler  # as arguments Trainer refuses them under FSDP
    trainer.remove_callback(PrinterCallback)
    order = epoch_batches(parts)
    trainer.loader = train_loader(parts, order)

    def make_session(model: Any) -> Session:
        return Session(
            parts,
            run,
            tracker,
            trial,
            model=model,
            optimizer=trainer.optimizer,
            scheduler=trainer.lr_scheduler,
            scaler=trainer.accelerator.scaler,
            device=trainer.args.device,
        )

    steps = Steps(trainer, order, make_session)
    trainer.add_callback(steps)
    found = saving.newest(run.checkpoints, parts.world)
    try:
        with TemporaryDirectory() as scratch:
            if found is None:
                trainer.train()
            elif found.step < plan.total_steps:
                # All that Trainer needs of a checkpoint is how far it is; the session restores the rest.
                TrainerState(
                    global_step=found.step,
                    train_batch_size=settings.per_device_train_batch_size,
                    logging_steps=arguments.logging_steps,  # these three are compared with the arguments
                    eval_steps=arguments.eval_steps,
                    save_steps=arguments.save_steps,
                ).save_to_json(str(Path(scratch) / "trainer_state.json"))
                trainer.train(resume_from_checkpoint=scratch)
            else:
                steps.on_train_begin(arguments, trainer.state, trainer.control, model=parts.model)
        assert steps.session is not None
        return steps.session.finish()
    finally:
        if steps.session is not None:
            steps.session.close()
