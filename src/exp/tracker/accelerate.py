"""Any tracker that Accelerate has and exp has not: comet_ml, aim, clearml, swanlab, dvclive."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Gt, MinLen

from exp.errors import ExpError
from exp.run.identity import flatten
from exp.run.secrets import redacted
from exp.tracker.background import Background, Queued
from exp.tracker.media import best_values, costs
from exp.tracker.resumed import Sent

if TYPE_CHECKING:
    from exp.run.folder import Run

log = logging.getLogger(__name__)


@dataclass
class AccelerateTracker(Queued):
    """Numbers and config through Accelerate's own class; its interface has no pictures, alerts or state of a run.

    Everything is sent by a thread of its own, so that a server that is slow or away costs the training nothing.
    Raises ExpError if the service's package is not installed.
    """

    name: Literal["aim", "clearml", "comet_ml", "dvclive", "swanlab"]
    project: Annotated[str, MinLen(1)]
    options: dict[str, Any]
    finish_timeout: Annotated[float, Gt(0)]  # seconds

    def __post_init__(self) -> None:
        if importlib.util.find_spec(self.name) is None:
            package = {"comet_ml": "comet-ml"}.get(self.name, self.name)
            raise ExpError(f"tracker.accelerate.name={self.name} needs the package {package}: pip install {package}")

    def start(self, run: Run) -> None:
        log.info("%s: project %s", self.name, self.project)
        self._serve(Background(_Accelerates(self), self.name, self.finish_timeout), run)


class _Accelerates:
    """What is done in the thread."""

    def __init__(self, options: AccelerateTracker) -> None:
        self.options = options
        self.last_step = 0

    def start(self, run: Run) -> None:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        self.run, self.sent = run, Sent(run)
        self.remote = LOGGER_TYPE_TO_CLASS[self.options.name](self.options.project, **self.options.options)
        self.remote.start()
        config = dict(flatten(redacted(run.config)))
        config |= {"condition": run.condition, "run_id": run.id, "folder": str(run.folder)}
        plain = {key: one if isinstance(one, bool | int | float | str) else str(one) for key, one in config.items()}
        self.remote.store_init_configuration(plain)

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        self.last_step = max(step, self.last_step)
        if not self.sent.has(metrics, step):
            self.remote.log({**metrics, "epoch": epoch}, step=step)

    def alert(self, title: str, text: str) -> None:
        pass

    def finish(self, status: str) -> None:
        # Their interface has no state of a run: 1 says that it came to its end.
        ended = {"completed": float(status == "completed")}
        self.remote.log({**best_values(self.run), **costs(self.run), **ended}, step=self.last_step)
        self.remote.finish()
