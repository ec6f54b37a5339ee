"""Which number format the forward pass computes in. Weights and optimizer state stay in fp32 always."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from exp.errors import ExpError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Precision:
    """A precision option; `auto` is bf16 where the hardware multiplies it, else fp32."""

    name: Literal["fp32", "bf16", "fp16", "auto"]

    def resolve(self, device: str) -> str:
        """Accelerate's word for it on a device type ("cpu", "cuda", "mps"): "no", "bf16" or "fp16".

        Raises ExpError where the device cannot compute in the format.
        """
        if self.name == "fp32":
            return "no"
        if self.name == "fp16":
            if device == "cpu":
                raise ExpError(
                    "precision=fp16 needs a GPU: its loss scaling has no CPU implementation in Accelerate, and CPUs"
                    " compute half precision slower than fp32. Take precision=bf16, auto or fp32"
                )
            return "fp16"
        if self.name == "auto":
            word = "bf16" if has_fast_bf16(device) else "no"
            log.info("precision auto: %s on %s", "bf16" if word == "bf16" else "fp32", device)
            return word
        if device == "cuda" and not has_fast_bf16(device):
            raise ExpError(
                f"precision=bf16: {_gpu_name()} computes no bf16 (it came with compute capability 8.0, Ampere)."
                " Take precision=fp16 or fp32"
            )
        if device == "mps" and not has_fast_bf16(device):
            raise ExpError("precision=bf16 on MPS needs macOS 14. Take precision=fp16 or fp32")
        return "bf16"


def weights_cast_once(device: torch.device) -> torch.autocast:
    """A context in which mixed precision casts a weight at its first use alone, not in every forward pass.

    For passes without a step of the optimizer in between: autocast keeps its copies until its outermost context ends.
    """
    import torch

    return torch.autocast(device.type, enabled=False)


def has_fast_bf16(device: str) -> bool:
    """Whether the hardware itself multiplies bf16; a CPU without it emulates bf16, correctly and slowly."""
    if device == "cuda":
        import torch

        return torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 8
    if device == "mps":
        import torch

        return torch.backends.mps.is_available() and torch.backends.mps.is_macos_or_newer(14, 0)
    return bool({"avx512_bf16", "amx_bf16", "bf16", "asimdbf16", "svebf16"} & _cpu_flags())


def _cpu_flags() -> set[str]:
    """The first core's flags on Linux (`flags` on x86, `Features` on ARM); empty elsewhere."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() in {"flags", "Features"}:
                    return set(value.split())
    except OSError:
        pass
    return set()


def _gpu_name() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "this machine"
