"""What a run costs: seconds, examples, tokens, memory and floating-point operations of its training steps, the energy
and the money of all of it."""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from exp.loop.energy import JOULES, Energy, energy
from exp.loop.flops import FlopCount
from exp.loop.peak import peak_of

if TYPE_CHECKING:
    from exp.loop.base import Parts

log = logging.getLogger(__name__)


class Cost:
    """A clock that runs during training steps only: evaluation, saving and the first steps are left out.

    Energy and money are of the whole time from the first step to the last evaluation, over all resumes.
    """

    warmup = 5  # steps whose time does not count: caches fill, kernels are chosen

    def __init__(self, parts: Parts, device: torch.device) -> None:
        self.charges, self.precision, self.device = parts.charges, parts.mixed_precision, device
        self.processes, self.first = parts.world.size, parts.world.rank == 0
        self.lengths = parts.encoded.train.lengths
        self.flops = FlopCount.of(parts.model)
        self.steps = 0  # of this process
        self.seconds = self.timed_seconds = 0.0
        self.samples = self.tokens = self.squares = 0  # squares of the examples' lengths, added up
        self.timed_samples = self.timed_tokens = self.timed_squares = 0
        self.since: float | None = None
        self.wall = self.joules = 0.0  # before this process took over
        self.opened = time.perf_counter()
        self.energy = Energy([])

    def begin(self) -> None:
        self.opened = time.perf_counter()
        if self.first:
            self.energy = energy(self.charges.energy)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self.since = time.perf_counter()

    def step(self, examples: Sequence[int]) -> None:
        self.steps += 1
        spent = self.pause()
        tokens = sum(self.lengths[i] for i in examples)
        self.samples += len(examples)
        self.tokens += tokens
        squares = sum(self.lengths[i] ** 2 for i in examples)
        self.squares += squares
        if self.steps > self.warmup:
            self.timed_seconds += spent
            self.timed_samples += len(examples)
            self.timed_tokens += tokens
            self.timed_squares += squares
        self.energy.keep_up()

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

    def summary(self, steps: int) -> tuple[dict[str, float], dict[str, Any]]:
        """The numbers of result.json, and what they rest on."""
        timed = self.timed_seconds or float("nan")
        told = {
            "train_seconds": round(self.seconds, 3),
            "samples_per_second": round(self.timed_samples / timed, 3),
            "tokens_per_second": round(self.timed_tokens / timed, 3),
            "steps": steps,
            "peak_memory_bytes": _peak_memory(),
            "total_flops": self._flops(self.tokens, self.squares),
            "wall_seconds": round(self._wall(), 3),
        }
        basis: dict[str, Any] = {}
        peak, source = self._peak() if self.first else (None, "")
        if peak is not None:
            done = self._flops(self.timed_tokens, self.timed_squares)
            told["mfu"] = round(done / timed / (peak * self.processes), 6)  # model FLOPs utilisation (Chowdhery 2022)
            basis |= {"peak_flops": peak, "peak_from": source}
        joules = self.energy.joules()
        if self.energy.source is not None:  # nothing of a meter that has failed
            told["energy_kwh"] = round((self.joules + joules) / JOULES, 9)
            basis["energy_from"] = self.energy.source
        if self.charges.rate_per_hour is not None:
            told["money"] = round(self.charges.rate_per_hour * self._wall() / 3600, 6)
            basis |= {"rate_per_hour": self.charges.rate_per_hour, "currency": self.charges.currency}
        return told, basis

    def _flops(self, tokens: int, squares: int) -> int:
        return self.flops.per_token * tokens + self.flops.per_pair * squares

    def _peak(self) -> tuple[float | None, str]:
        """None where it cannot be measured: a GPU may be full, and the run is over and good."""
        if self.charges.peak_flops is not None:
            return self.charges.peak_flops, "cost.peak_flops"
        try:
            return peak_of(self.device, self.precision)
        except RuntimeError as error:
            log.warning("the peak of %s cannot be measured, so there is no MFU: %s", self.device, error)
            return None, ""

    def _wall(self) -> float:
        return self.wall + time.perf_counter() - self.opened

    def state(self) -> dict[str, Any]:
        held = {name: getattr(self, name) for name in ("seconds", "samples", "tokens", "squares")}
        return {**held, "wall": self._wall(), "joules": self.joules + self.energy.joules()}

    def restore(self, state: dict[str, Any]) -> None:
        self.seconds, self.samples, self.tokens = state["seconds"], state["samples"], state["tokens"]
        # Not in checkpoints of an older exp:
        self.squares, self.wall, self.joules = (state.get(name, 0) for name in ("squares", "wall", "joules"))


def _peak_memory() -> int:
    """Bytes: the most that this process held on the GPU, or in memory where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
