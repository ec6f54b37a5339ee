"""What a run costs: seconds, examples, tokens, memory and floating-point operations of its training steps."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from exp.loop.flops import FlopCount

if TYPE_CHECKING:
    from exp.loop.base import Parts


class Cost:
    """A clock that runs during training steps only: evaluation, saving and the first steps are left out."""

    warmup = 5  # steps whose time does not count: caches fill, kernels are chosen

    def __init__(self, parts: Parts) -> None:
        self.lengths = parts.encoded.train.lengths
        self.flops = FlopCount.of(parts.model)
        self.steps = 0  # of this process
        self.seconds = self.timed_seconds = 0.0
        self.samples = self.tokens = self.squares = 0  # squares of the examples' lengths, added up
        self.timed_samples = self.timed_tokens = 0
        self.since: float | None = None

    def begin(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self.since = time.perf_counter()

    def step(self, examples: Sequence[int]) -> None:
        self.steps += 1
        spent = self.pause()
        tokens = sum(self.lengths[i] for i in examples)
        self.samples += len(examples)
        self.tokens += tokens
        self.squares += sum(self.lengths[i] ** 2 for i in examples)
        if self.steps > self.warmup:
            self.timed_seconds += spent
            self.timed_samples += len(examples)
            self.timed_tokens += tokens

    def pause(self) -> float:
        """Stops the clock; returns the seconds since it was started."""
        if self.since is None:
            return 0.0
        spent = time.perf_counter() - self.since
        self.seconds += spent
        self.since = None
        return spent

    def resume(self) -> None:
        self.since = time.perf_counter()

    def summary(self, steps: int) -> dict[str, float]:
        timed = self.timed_seconds or float("nan")
        return {
            "train_seconds": round(self.seconds, 3),
            "samples_per_second": round(self.timed_samples / timed, 3),
            "tokens_per_second": round(self.timed_tokens / timed, 3),
            "steps": steps,
            "peak_memory_bytes": _peak_memory(),
            "total_flops": self.flops.per_token * self.tokens + self.flops.per_pair * self.squares,
        }

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("seconds", "samples", "tokens", "squares")}

    def restore(self, state: dict[str, Any]) -> None:
        self.seconds, self.samples, self.tokens = state["seconds"], state["samples"], state["tokens"]
        self.squares = state.get("squares", 0)  # not in checkpoints of an older exp


def _peak_memory() -> int:
    """Bytes: the most that this process held on the GPU, or in memory where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
