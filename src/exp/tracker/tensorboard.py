"""TensorBoard: event files in the run folder, which `tensorboard --logdir outputs` shows side by side."""

from __future__ import annotations

import importlib.util
import json
import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt

from exp.errors import ExpError
from exp.run.identity import flatten
from exp.run.said import near
from exp.run.secrets import redacted
from exp.tracker.guard import Guard
from exp.tracker.media import best_values, costs, pictures, wrong_examples
from exp.tracker.resumed import Sent

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from exp.run.folder import Run

log = logging.getLogger(__name__)
FOLDER = "tensorboard"


@dataclass
class TensorBoard:
    """Scalars, pictures, wrong examples, and the config beside the best values in the page HParams.

    A run that goes on writes a second event file into the same folder, and TensorBoard draws the two as one run.
    TensorBoard has no state of a run: the status is a text, and so are alerts.
    Raises ExpError if tensorboard is not installed.
    """

    flush_secs: Annotated[float, Gt(0)]

    def __post_init__(self) -> None:
        if importlib.util.find_spec("tensorboard") is None:
            raise ExpError("tracker=tensorboard needs the package tensorboard: pip install 'exp[tensorboard]'")
        self.writer: SummaryWriter | None = None
        self.guard = Guard("TensorBoard")
        self.last_step = 0

    def start(self, run: Run) -> None:
        self.run, self.sent = run, Sent(run)
        with self.guard("starting"):
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(run.folder / FOLDER), flush_secs=self.flush_secs)
            config = json.dumps(redacted(run.config), indent=2)
            self.writer.add_text("config", f"```json\n{config}\n```")
            log.info("TensorBoard: look at it with: %s", shlex.join(["tensorboard", "--logdir", near(run.folder)]))

    def log(self, metrics: Mapping[str, float], *, step: int, epoch: float) -> None:
        self.last_step = max(step, self.last_step)
        if self.writer is None or self.sent.has(metrics, step):
            return
        with self.guard("logging"):
            for key, value in {**metrics, "epoch": epoch}.items():
                self.writer.add_scalar(key, value, step)

    def alert(self, title: str, text: str) -> None:
        if self.writer is not None:
            with self.guard("alerting"):
                self.writer.add_text(f"alert/{title}", text, self.last_step)

    def finish(self, status: str) -> None:
        if self.writer is None:
            return
        with self.guard("writing the best values"):
            self._write_hparams(status)
        with self.guard("drawing the predictions"):
            import numpy as np

            for key, picture in pictures(self.run).items():
                self.writer.add_image(key, np.asarray(picture), self.last_step, dataformats="HWC")
            for split, rows in wrong_examples(self.run).items():
                self.writer.add_text(f"{split}/errors", _markdown(rows), self.last_step)
        with self.guard("finishing"):
            self.writer.add_text("status", status, self.last_step)
            self.writer.close()
        self.writer = None

    def _write_hparams(self, status: str) -> None:
        """In the run's own file: `SummaryWriter.add_hparams` would make a second run of it."""
        from torch.utils.tensorboard.summary import hparams

        assert self.writer is not None and self.writer.file_writer is not None
        config = dict(flatten(redacted(self.run.config)))
        values = {key: one if isinstance(one, bool | int | float | str) else str(one) for key, one in config.items()}
        found = {**best_values(self.run), **costs(self.run)}
        for summary in hparams({**values, "status": status, "condition": self.run.condition}, found):
            self.writer.file_writer.add_summary(summary)
        for key, value in found.items():
            self.writer.add_scalar(key, value, self.last_step)


def _markdown(rows: list[dict[str, Any]]) -> str:
    """A table in Markdown; TensorBoard's texts are Markdown."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *[[_cell(row[column]) for column in columns] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
