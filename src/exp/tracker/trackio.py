"""trackio: a dashboard on one's own machine, without account or server (docs/wandb.md)."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MinLen

from exp.errors import ExpError
from exp.run.folder import read_record
from exp.run.secrets import redacted
from exp.tracker.guard import Guard
from exp.tracker.media import best_values, costs, pictures
from exp.tracker.name import run_name
from exp.tracker.resumed import Sent

if TYPE_CHECKING:
    import trackio

    from exp.run.folder import Run

log = logging.getLogger(__name__)


@dataclass
class Trackio:
    """The numbers of the run in trackio's own store, which `trackio show` finds wherever it is called.

    trackio has no tags, notes, job type, summary or exit state: the condition is a config key, the best values
    are metrics of the last step, and an end other than `completed` is an alert.
    Raises ExpError if trackio is not installed.
    """

    project: Annotated[str, MinLen(1)]
    group: str | None
    name: str | None

    def __post_init__(self) -> None:
        if importlib.util.find_spec("trackio") is None:
            raise ExpError("tracker=trackio needs the package trackio: pip install 'exp[trackio]'")
        self.remote: trackio.Run | None = None
        self.guard = Guard("trackio")
        self.alerted: set[str] = set()
        self.last_step = 0

    def start(self, run: Run) -> None:
        self.run = run
        record = read_record(run.folder)
        self.sent = Sent(run)
        with self.guard("starting"), _quiet():
            import trackio

            self.remote = trackio.init(
                project=self.project,
                name=redacted(self.name or f"{run_name(record, run.folder)} {run.id}"),
                group=self.group or record["group"],
                config=redacted({**run.config, "condition": run.condition, "folder": str(run.folder)}),
                resume="allow",  # by name: a run that goes on is the same run
                embed=False,
            )
        if self.remote is not None:
            log.info("trackio: look at it with: trackio show --project %s", self.project)

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        self.last_step = step
        if not self.sent.has(metrics, step):
            self._send({**metrics, "epoch": epoch}, "logging")

    def alert(self, title: str, text: str) -> None:
        if self.remote is None or title in self.alerted:
            return
        self.alerted.add(title)
        with self.guard("alerting"), _quiet():
            self.remote.alert(title, text)

    def finish(self, status: str) -> None:
        if self.remote is None:
            return
        self._send({**best_values(self.run), **costs(self.run)}, "writing the best values")
        with self.guard("drawing the predictions"):
            import trackio

            drawn = {key: trackio.Image(picture) for key, picture in pictures(self.run).items()}
            self._send(drawn, "drawing the predictions")
        with self.guard("finishing"), _quiet():
            if status != "completed":
                self.remote.alert(f"run {status}", str(read_record(self.run.folder)["reason"] or ""))
            # By the package, not the run: it also clears trackio's current run, which its exit hook would finish.
            trackio.finish()
        self.remote = None

    def _send(self, metrics: dict[str, Any], doing: str) -> None:
        if self.remote is not None and metrics:
            with self.guard(doing), _quiet():
                self.remote.log(metrics, step=self.last_step)


def _quiet() -> contextlib.redirect_stdout[io.StringIO]:
    """trackio prints; exp says in one line what matters."""
    return contextlib.redirect_stdout(io.StringIO())
