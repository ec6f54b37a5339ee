"""What happens between two optimizer steps: log, evaluate, stop early, prune, save, resume. Shared by both loops.

A loop does the arithmetic of a step and calls, in this order: `begin` once, then for every optimizer step
`before_clipping`, `before_update` (gradients are there, weights are old), `after_update` (weights are new, gradients
still there) and `step_end`, and `finish` once. Users' callbacks are told in these calls; a loop tells them of the few
points that lie inside a step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from exp.distributed import sharding
from exp.loop.bad_loss import BadLoss
from exp.loop.callbacks import Callbacks, CallbackStates, LiveCallbacks, NoCallbacks
from exp.loop.cost import Cost
from exp.loop.display import Display
from exp.loop.evaluations import Evaluations
from exp.loop.plan import epoch_of
from exp.loop.rhythm import Rhythm
from exp.loop.saving import Saving
from exp.loop.stopping import Stopping
from exp.loop.train_loss import TrainLoss
from exp.metrics.best import Extremes
from exp.optim.averaging import average_of
from exp.run.interrupts import Interrupts
from exp.run.result import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exp.loop.base import Parts
    from exp.loop.trial import Trial
    from exp.run.folder import Run
    from exp.tracker.base import Tracker


class Session:
    """`model`, `optimizer` and `scheduler` are the prepared ones; `scaler` is fp16's, else None."""

    def __init__(
        self,
        parts: Parts,
        run: Run,
        tracker: Tracker,
        trial: Trial,
        *,
        model: torch.nn.Module,
        optimizer: Any,
        scheduler: Any,
        scaler: Any,
        device: torch.device,
    ) -> None:
        self.parts, self.run, self.tracker, self.trial = parts, run, tracker, trial
        self.settings, self.plan, self.world = parts.settings, parts.plan, parts.world
        self.model, self.optimizer, self.scheduler, self.scaler = model, optimizer, scheduler, scaler
        self.device = device
        self.step = 0
        self.status = "running"
        self.reason: str | None = None
        self.loss = torch.zeros(())  # of the step at work, over all processes
        self.train_loss = TrainLoss(device)
        self.records = Extremes(self.plan.directions)
        self.stopping = Stopping(
            self.plan.greater_is_better,
            self.settings.early_stopping_patience,
            self.settings.early_stopping_threshold,
        )
        self.bad_loss = BadLoss(self.settings.on_bad_loss, device.type)
        self.cost = Cost(parts, device)
        self.average = average_of(
            parts.averaging, parts.model, optimizer, self.plan.total_steps, self.plan.steps_per_epoch
        )
        self.evaluations = Evaluations(parts, run, tracker, model=model, average=self.average, device=device)
        self.callbacks: Callbacks = NoCallbacks()
        more: dict[str, Any] = {}
        if parts.callbacks:
            live = LiveCallbacks(parts, run, optimizer=optimizer, scheduler=scheduler, device=device)
            self.callbacks, more["callbacks"] = live, CallbackStates(live)
        self.saving = Saving(
            run,
            self.world,
            self.settings,
            model=model,
            optimizer=optimizer,
            scheduler=scheduler,
            scaler=scaler,
            average=self.average,
            rows=parts.encoded.train,
            counters={
                "train_loss": self.train_loss,
                "extremes": self.records,
                "stopping": self.stopping,
                "bad_loss": self.bad_loss,
                "cost": self.cost,
                **more,
            },
        )
        self.rhythm = Rhythm(self.settings, self.plan)
        self.display = Display(self.plan.total_steps)
        self.interrupts = Interrupts()

    # ---- the six calls of a loop ----

    def begin(self) -> int:
        """Restores the newest checkpoint or seeds dropout. Returns the optimizer steps already done."""
        self.interrupts.__enter__()
        self.step = self.saving.begin()
        if self.world.rank == 0:
            self.display.begin(self.step)
        self.callbacks.begin(self.step, self.epoch, self.stopping)
        self.cost.begin()
        return self.step

    def before_clipping(self) -> None:
        """The gradients of the step are there, as they were computed."""
        self.parts.freeze.drop_gradients(self.parts.model, self.step + 1, self.plan.steps_per_epoch)

    def before_update(self, loss: torch.Tensor) -> None:
        """`loss`: mean over the step's micro-batches. A bad one is refused here, while the weights are still good."""
        self.loss = self.world.mean_loss(loss.detach(), self.interrupts.received)
        answer = self.bad_loss.judge(self.loss, self.step + 1, self._lr())
        if answer != "keep":
            self.optimizer.zero_grad(set_to_none=True)  # without gradients the optimizer leaves weights and state alone
        if answer == "rewind" and self.saving.rewind() is None:
            raise self.bad_loss.error(self.step + 1, "on_bad_loss=rewind found no checkpoint to go back to")
        self.callbacks.pre_optimizer_step()

    def after_update(self) -> None:
        """The optimizer has stepped; gradients are still there."""
        self.parts.adapter.after_optimizer_step(self.parts.model, self.step + 1)
        if self.average is not None:
            self.average.after_step(self.step + 1)
        self.callbacks.optimizer_step()

    def step_end(self, grad_norm: torch.Tensor | float, lr: float, examples: list[int]) -> bool:
        """After the update; `lr` is the rate it used, `examples` what all processes saw. True: the run is over."""
        self.cost.step(examples)
        self.step += 1
        self.train_loss.add(self.loss)
        last = self.step >= self.plan.total_steps
        self.evaluations.forget()
        self.display.step(self.step, self.loss, lr)
        due = self.rhythm.due(self.step)
        epoch_over = last or self.step % self.plan.steps_per_epoch == 0
        asked = self.callbacks.step_end(self.step, self.epoch, due, epoch_over)
        ends = last or self.callbacks.reason is not None
        if asked.log:
            self._log_training(grad_norm, lr)
        if ends or asked.evaluate:
            self._evaluate(wanted=asked.evaluate and not due.evaluate)
        if self.callbacks.reason is not None and self.status == "running":
            self.status, self.reason = "completed", self.callbacks.reason
        if asked.save:
            self._save()
        stop = self.world.stop(self.interrupts.received)
        if stop and not last and self.status == "running":
            self.status, self.reason = "interrupted", stop
            self._save()
        self.cost.resume()
        return last or self.status != "running"

    def finish(self) -> Result:
        """Puts the best weights back where that was asked; the model then holds what is to be saved."""
        if self.status == "running":
            self.status = "completed"
        over = self.status in ("completed", "pruned")
        weights_step = self.step
        if self.settings.load_best_model_at_end and over:
            weights_step = self.saving.load_best(self.stopping.best_step, self.step)
        if weights_step != self.step:
            self.evaluations.forget()
        if over and self.average is not None:
            self.average.install()
            if self.world.rank == 0:
                self.run.update(averaging=self.average.record())
        if over:
            self.callbacks.train_end()
        self.display.close()
        self.interrupts.__exit__(None, None, None)
        if over:
            self.evaluations.write(weights_step, self.plan.total_steps, self._publish)
            sharding.unshard(self.parts.model)
        cost, basis = self.cost.summary(self.step)
        if self.world.rank == 0:
            self.run.update(cost_basis=basis)
        objective = self.records.best.get(self.plan.objective) or {"value": math.nan, "step": 0}
        return Result(
            status=self.status,
            reason=self.reason,
            stopped_early=self.stopping.exhausted or self.callbacks.reason is not None,
            objective={"name": self.plan.objective, **objective},
            best=self.records.best,
            last=self.records.last,
            cost=cost,
            saved_step=weights_step if over else None,
        )

    def close(self) -> None:
        """Puts terminal and signals back, also after an error."""
        self.display.close()
        self.interrupts.__exit__(None, None, None)

    # ---- logs ----

    def logs_next(self) -> bool:
        """The step at work will be logged, or may be: its gradient norm is wanted."""
        return self.callbacks.any or self.rhythm.due(self.step + 1).log

    @property
    def epoch(self) -> float:
        return epoch_of(self.step, self.plan)

    def _log_training(self, grad_norm: torch.Tensor | float, lr: float) -> None:
        logs = {"train/loss": self.train_loss.take(), "train/lr": lr, "train/grad_norm": float(grad_norm)}
        self._publish(logs)
        self.callbacks.logged(logs)

    def _publish(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        step = self.step if step is None else step
        self.tracker.log(metrics, step=step, epoch=epoch_of(step, self.plan))
        self.records.add(metrics, step)

    # ---- evaluation and what follows from it ----

    def _evaluate(self, wanted: bool = False) -> None:
        """`wanted`: by a callback, whatever the strategy says."""
        self.bad_loss.settle()
        if self.settings.eval_strategy == "no" and not wanted:
            return
        self.cost.pause()
        metrics = self.evaluations.measure(final=self.step >= self.plan.total_steps)
        self._publish(metrics)
        self.evaluations.show(self.step)
        self.display.evaluation(metrics, self.step, self.epoch, self.records.last.get("train/loss"))
        self.callbacks.evaluated(metrics)
        if self.settings.eval_strategy == "no":  # the objective is the training loss
            return
        value = metrics[self.plan.objective]
        improved = self.stopping.update(value, self.step)
        self.callbacks.best(self.stopping)
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(value)
        self.trial.report(value, self.step)
        # Nothing is left to save after the last step: the trial is complete.
        if self.step < self.plan.total_steps and self.world.from_first(self.trial.should_prune()):
            self.status, self.reason = "pruned", f"{self.plan.objective}={value:.4g} at step {self.step}"
        elif self.stopping.exhausted:
            self.status = "completed"
            self.reason = (
                f"early stopping: {self.plan.objective} has not improved by more than "
                f"{self.settings.early_stopping_threshold} for {self.stopping.waited} evaluations"
            )
        if improved and (self.settings.load_best_model_at_end or self.status != "running"):
            self._save()

    def _save(self) -> None:
        self.bad_loss.settle()
        self.cost.pause()
        if self.saving.save(self.step, self.stopping.best_step):
            self.callbacks.saved()

    def _lr(self) -> float:
        return max(group["lr"] for group in self.optimizer.param_groups)
