"""Users' `transformers.TrainerCallback`s: called at the same points, with the same state, in both loops.

Trainer's own state and control are not shown to them: the session keeps one of each for both loops. The session's own
work (logs, evaluations, checkpoints) stands in the control before `on_step_end`, as Trainer's does, and what callbacks
leave there is what happens.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from exp.errors import ExpError
from exp.loop.rhythm import Due

if TYPE_CHECKING:
    import torch

    from exp.loop.base import Parts
    from exp.loop.stopping import Stopping
    from exp.run.folder import Run

log = logging.getLogger(__name__)


class Callbacks(Protocol):
    """`reason`: why a callback wants the run to end after this step; None: it goes on."""

    any: bool
    reason: str | None

    def begin(self, step: int, epoch: float, stopping: Stopping) -> None: ...

    def epoch_begin(self) -> None: ...

    def step_begin(self) -> None: ...

    def substep_end(self) -> None: ...

    def pre_optimizer_step(self) -> None: ...

    def optimizer_step(self) -> None: ...

    def step_end(self, step: int, epoch: float, due: Due, epoch_over: bool) -> Due: ...

    def logged(self, logs: Mapping[str, float]) -> None: ...

    def evaluated(self, metrics: Mapping[str, float]) -> None: ...

    def best(self, stopping: Stopping) -> None: ...

    def saved(self) -> None: ...

    def train_end(self) -> None: ...


class NoCallbacks:
    """A run without callbacks."""

    any = False
    reason: str | None = None

    def begin(self, step: int, epoch: float, stopping: Stopping) -> None:
        pass

    def step_end(self, step: int, epoch: float, due: Due, epoch_over: bool) -> Due:
        return due

    def epoch_begin(self) -> None:
        pass

    step_begin = substep_end = pre_optimizer_step = optimizer_step = saved = train_end = epoch_begin

    def logged(self, logs: Mapping[str, float]) -> None:
        pass

    evaluated = logged

    def best(self, stopping: Stopping) -> None:
        pass


class LiveCallbacks:
    """Args:
    parts, run: of the run; `optimizer`, `scheduler`, `device` are the session's.
    """

    any = True

    def __init__(self, parts: Parts, run: Run, *, optimizer: Any, scheduler: Any, device: torch.device) -> None:
        from transformers import TrainerControl

        from exp.loop.callback_views import watched_arguments, watched_state

        self.named, self.world = parts.callbacks, parts.world
        self.args = watched_arguments(parts, run, device)
        self.state = watched_state(parts)
        self.control = TrainerControl()
        self.given = {
            "model": parts.model,
            "processing_class": parts.processor,
            "optimizer": optimizer,
            "lr_scheduler": scheduler,
            "train_dataloader": None,
            "eval_dataloader": None,
        }
        self.reason: str | None = None
        self.epoch_ended = False

    # ---- the points of a run ----

    def begin(self, step: int, epoch: float, stopping: Stopping) -> None:
        self._note(global_step=step, epoch=epoch)
        self.best(stopping)
        self._fire("on_init_end")
        self._fire("on_train_begin")

    def epoch_begin(self) -> None:
        self.epoch_ended = False
        self._fire("on_epoch_begin")

    def step_begin(self) -> None:
        self.control.should_log = self.control.should_evaluate = self.control.should_save = False
        self._fire("on_step_begin")

    def substep_end(self) -> None:
        self._fire("on_substep_end")

    def pre_optimizer_step(self) -> None:
        self._fire("on_pre_optimizer_step")

    def optimizer_step(self) -> None:
        self._fire("on_optimizer_step")

    def step_end(self, step: int, epoch: float, due: Due, epoch_over: bool) -> Due:
        """Returns what is due now. `on_epoch_end` comes before it, so that a checkpoint holds what callbacks did."""
        self._note(global_step=step, epoch=epoch)
        control = self.control
        control.should_log, control.should_evaluate, control.should_save = due.log, due.evaluate, due.save
        self._fire("on_step_end")
        if epoch_over or self.control.should_training_stop:
            self._epoch_end()
        asked = (self.control.should_log, self.control.should_evaluate, self.control.should_save, self.reason)
        *flags, self.reason = self.world.from_first(asked)  # what the first process decides
        return Due(*flags)

    def logged(self, logs: Mapping[str, float]) -> None:
        shown = {_LOGS.get(key, key.replace("/", "_")): value for key, value in logs.items()}
        shown["epoch"] = self.state.epoch
        self.state.log_history.append({**shown, "step": self.state.global_step})
        self.control.should_log = False
        self._fire("on_log", logs=shown)

    def evaluated(self, metrics: Mapping[str, float]) -> None:
        """As Trainer: on_log, then on_evaluate; the best metric is still that of the evaluations before."""
        self.logged(metrics)
        self.control.should_evaluate = False
        named = {key.replace("/", "_"): value for key, value in metrics.items()}
        self._fire("on_evaluate", metrics={**named, "epoch": self.state.epoch})
        self.reason = self.world.from_first(self.reason)
        if self.reason is not None and not self.epoch_ended:
            self._epoch_end()

    def best(self, stopping: Stopping) -> None:
        self._note(best_metric=stopping.best, best_global_step=stopping.best_step)

    def saved(self) -> None:
        self.control.should_save = False
        self._fire("on_save")

    def train_end(self) -> None:
        self._fire("on_train_end")

    # ---- what a checkpoint holds ----

    def state_of(self, name: str) -> Any:
        """What transformers calls the attributes of an exportable callback; None for every other one."""
        from transformers.trainer_callback import ExportableState

        callback = self.named[name]
        if not isinstance(callback, ExportableState):
            return None
        kept = callback.state()["attributes"]
        try:
            json.dumps(kept)
        except (TypeError, ValueError) as error:
            raise ExpError(f"callbacks.{name}: its state cannot be kept in a checkpoint: {error}") from None
        return kept

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, attributes in state["states"].items():
            for key, value in (attributes or {}).items():
                setattr(self.named[name], key, value)
        self._note(log_history=list(state["log_history"]))

    # ---- one call ----

    def _epoch_end(self) -> None:
        self.epoch_ended = True
        self._fire("on_epoch_end")

    def _fire(self, event: str, **more: Any) -> None:
        """Raises ExpError, with the callback's name, where it raises or changes what it may not."""
        from transformers import TrainerControl

        for name, callback in self.named.items():
            logs = len(self.state.log_history)
            self.state.watched_for = self.args.watched_for = f"callbacks.{name}: {event}"
            try:
                returned = getattr(callback, event)(self.args, self.state, self.control, **self.given, **more)
            except ExpError:
                raise
            except Exception as error:  # a user's code
                log.debug("callbacks.%s", name, exc_info=error)
                what = " ".join(str(error).split())
                raise ExpError(f"callbacks.{name}: {event} failed: {type(error).__name__}: {what}") from error
            finally:
                self.state.watched_for = self.args.watched_for = None
            if returned is not None:
                if not isinstance(returned, TrainerControl):
                    raise ExpError(
                        f"callbacks.{name}: {event} returns {type(returned).__name__}; it may return the control, or "
                        f"nothing"
                    )
                self.control = returned
            if len(self.state.log_history) != logs:
                raise ExpError(f"callbacks.{name}: {event} changes state.log_history, which it may only read")
            if self.control.should_epoch_stop:
                raise ExpError(
                    f"callbacks.{name}: {event} sets control.should_epoch_stop, and the steps of an epoch are planned "
                    f"for schedule and resume; set should_training_stop, or train with max_steps"
                )
            if self.control.should_training_stop and self.reason is None:
                self.reason = f"callbacks.{name} asked for the end in {event}"

    def _note(self, **fields: Any) -> None:
        for key, value in fields.items():
            setattr(self.state, key, value)


# Trainer's names in its logs.
_LOGS = {"train/loss": "loss", "train/lr": "learning_rate", "train/grad_norm": "grad_norm"}


class CallbackStates:
    """What a checkpoint keeps of callbacks."""

    def __init__(self, callbacks: LiveCallbacks) -> None:
        self.callbacks = callbacks

    def state(self) -> dict[str, Any]:
        callbacks = self.callbacks
        return {
            "states": {name: callbacks.state_of(name) for name in callbacks.named},
            "log_history": callbacks.state.log_history,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.callbacks.restore(state)
