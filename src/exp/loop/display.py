"""What a person watching sees: a progress bar on a terminal, and a row an evaluation anywhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import torch
from tqdm import tqdm

log = logging.getLogger("exp")


class Display:
    """The bar shows step, loss, rate and the time left. Rows go to the log, and so to train.log too."""

    def __init__(self, total_steps: int) -> None:
        self.total_steps = total_steps
        self.bar: Any = None
        self.columns: list[str] = []

    def begin(self, step: int) -> None:
        if sys.stderr.isatty():
            self.bar = tqdm(total=self.total_steps, initial=step, unit="step", dynamic_ncols=True, leave=False)

    def step(self, step: int, loss: torch.Tensor, lr: float) -> None:
        if self.bar is not None:
            if step % 10 == 0 or step == self.total_steps:  # reading the loss waits for the device
                self.bar.set_postfix_str(f"loss {loss.item():.3f} lr {lr:.2e}", refresh=False)
            self.bar.update()

    def evaluation(
        self, metrics: Mapping[str, float], step: int, epoch: float, train_loss: Mapping[str, float] | None
    ) -> None:
        row = {"step": f"{step}/{self.total_steps}", "epoch": f"{epoch:.2f}"}
        if train_loss:  # else nothing has been logged yet
            row["train/loss"] = f"{train_loss['value']:.4f}"
        row.update({key: f"{value:.4f}" for key, value in metrics.items()})
        widths = {key: max(len(key), 11) for key in row}
        if list(row) != self.columns:
            self.columns = list(row)
            log.info("  ".join(key.rjust(widths[key]) for key in row))
        log.info("  ".join(row[key].rjust(widths[key]) for key in row))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
