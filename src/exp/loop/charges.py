"""What a run is charged with beside its seconds and operations: energy, money, and what its device could have done."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, MinLen

from exp.errors import ExpError


@dataclass(frozen=True)
class Charges:
    """The node `cost` of a config.

    Args:
        energy: auto: counters of the processor (RAPL) and of NVIDIA GPUs (NVML), where they can be read. codecarbon:
            its estimates, for machines without counters. off: none.
        rate_per_hour: money for an hour of all that the run uses; None: not charged.
        currency: of that rate.
        peak_flops: operations a second of one device; None: its maker's figure, or a measured matrix product.
    """

    energy: Literal["auto", "codecarbon", "off"]
    rate_per_hour: Annotated[float, Ge(0)] | None
    currency: Annotated[str, MinLen(1)]
    peak_flops: Annotated[float, Gt(0)] | None

    def __post_init__(self) -> None:
        if self.energy == "codecarbon" and importlib.util.find_spec("codecarbon") is None:
            raise ExpError("cost.energy=codecarbon needs the package codecarbon: pip install 'exp[energy]'")


UNCHARGED = Charges("off", None, "EUR", None)  # of a run that is older than the node
