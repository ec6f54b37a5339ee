"""The energy that a run's machine takes while it trains and evaluates, from counters or from CodeCarbon's estimates."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from exp.run.said import counted

log = logging.getLogger(__name__)
POWERCAP = Path("/sys/class/powercap")
JOULES = 3.6e6  # in a kWh
EVERY = 30.0  # seconds between two readings: a package's counter runs over after 20 minutes of 200 W at the earliest


class Meter(Protocol):
    """`name` says what is measured."""

    name: str

    def joules(self) -> float:
        """Since the meter was made."""


class Rapl:
    """Intel's and AMD's counters of processor packages and memory, of the whole machine. They run over."""

    def __init__(self, zones: Sequence[Path]) -> None:
        self.name = f"RAPL ({counted(len(zones), 'zone')}, the whole machine)"
        self.zones = [(zone / "energy_uj", int((zone / "max_energy_range_uj").read_text())) for zone in zones]
        self.last = [int(file.read_text()) for file, _ in self.zones]
        self.total = 0

    def joules(self) -> float:
        for at, (file, most) in enumerate(self.zones):
            now = int(file.read_text())
            self.total += (now - self.last[at]) % (most + 1)
            self.last[at] = now
        return self.total / 1e6


def rapl_zones() -> list[Path]:
    """Packages, and memory beside them; not the parts of a package, and not the sum of a platform."""
    zones = []
    for zone in sorted(POWERCAP.glob("intel-rapl:*")):
        try:
            name = (zone / "name").read_text().strip()
            int((zone / "energy_uj").read_text())  # only root may, on most machines
        except (OSError, ValueError):
            continue
        if name.startswith("package") or name == "dram":
            zones.append(zone)
    return zones


class Nvml:
    """The counters of the GPUs that this process sees (Volta and newer)."""

    def __init__(self, nvml: Any, handles: Sequence[Any]) -> None:
        self.nvml, self.handles = nvml, handles
        self.name = f"NVML ({counted(len(handles), 'GPU')})"
        self.begun = self._millijoules()

    def _millijoules(self) -> int:
        return sum(self.nvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in self.handles)

    def joules(self) -> float:
        return (self._millijoules() - self.begun) / 1e3


def nvml() -> Nvml | None:
    """None where there is no GPU, no nvidia-ml-py (it comes with exp[energy]), or no counter."""
    if not torch.cuda.is_available():
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        ids = [torch.cuda.get_device_properties(at).uuid for at in range(torch.cuda.device_count())]
        return Nvml(pynvml, [pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{one}") for one in ids])
    except pynvml.NVMLError:
        return None


class CodeCarbon:
    """Its estimate of the whole machine, every 15 s; from the processor's design power where nothing is counted."""

    name = "CodeCarbon (an estimate of the whole machine)"

    def __init__(self) -> None:
        from codecarbon import OfflineEmissionsTracker

        # A country is asked for, and changes the emissions alone, which are not used.
        self.tracker = OfflineEmissionsTracker(
            country_iso_code="USA", save_to_file=False, log_level="critical", allow_multiple_runs=True
        )
        self.tracker.start_task()
        self.total = 0.0

    def joules(self) -> float:
        told = self.tracker.stop_task()
        self.total += told.energy_consumed * JOULES if told is not None else 0.0
        self.tracker.start_task()
        return self.total


class Energy:
    """All meters of a machine, read often enough that no counter runs over twice. One that fails is dropped with all
    that it counted: half a figure would be none, and no run fails for it."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        self.meters = list(meters)
        self.held, self.read_at = 0.0, time.perf_counter()

    @property
    def source(self) -> str | None:
        return " and ".join(meter.name for meter in self.meters) or None

    def joules(self) -> float:
        self.held, self.read_at = 0.0, time.perf_counter()
        for meter in self.meters[:]:
            try:
                self.held += meter.joules()
            except Exception as error:
                log.warning("%s cannot be read any more (%s): its energy is not counted", meter.name, error)
                self.meters.remove(meter)
        return self.held

    def keep_up(self) -> None:
        if self.meters and time.perf_counter() - self.read_at > EVERY:
            self.joules()


def energy(how: str) -> Energy:
    """Args: how: as `exp.loop.charges.Charges` has it. Where nothing can be read there is no meter."""
    if how == "off":
        return Energy([])
    if how == "codecarbon":
        return Energy([CodeCarbon()])
    zones = rapl_zones()
    found: list[Meter] = [Rapl(zones)] if zones else []
    gpus = nvml()
    return Energy([*found, gpus] if gpus is not None else found)
