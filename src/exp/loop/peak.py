"""What a device can do at most: floating-point operations a second of a matrix product."""

from __future__ import annotations

import math
import re
import time
from functools import lru_cache

import torch

# Dense matrix products, as the makers' data sheets give them; without sparsity. Read in the table of Lightning Fabric
# 2.6.6 (lightning_fabric/utilities/throughput.py), which names the sheet of each. Devices whose figures there are for
# sparse matrices, for two cards, or without tensor cores are left out, and measured.
PEAKS: tuple[tuple[str, dict[str, float]], ...] = (
    (r"H100.*HBM3", {"fp32": 66.9e12, "tf32": 494.7e12, "bf16": 989.4e12, "fp16": 989.4e12}),  # SXM
    (r"H100 PCIe", {"fp32": 51.2e12, "tf32": 378e12, "bf16": 756e12, "fp16": 756e12}),
    (r"A100", {"fp32": 19.5e12, "tf32": 156e12, "bf16": 312e12, "fp16": 312e12}),
    (r"L40\b", {"fp32": 90.5e12, "tf32": 90.5e12, "bf16": 181e12, "fp16": 181e12}),
    (r"L4\b", {"fp32": 30.3e12, "tf32": 60e12, "bf16": 121e12, "fp16": 121e12}),
    (r"A10G?\b", {"fp32": 31.2e12, "tf32": 62.5e12, "bf16": 125e12, "fp16": 125e12}),
    (r"\bT4\b", {"fp32": 8.1e12, "fp16": 65e12}),
    (r"V100-SXM", {"fp32": 15.7e12, "fp16": 125e12}),
    (r"V100-PCIE", {"fp32": 14e12, "fp16": 112e12}),
)
WIDTH = 512  # of the product that is timed on one CPU thread: 0.27 GFLOP
GPU_WIDTH = 4096
REPEATS = 5


def peak_of(device: torch.device, mixed_precision: str) -> tuple[float, str]:
    """Operations a second, and where that figure is from.

    Args:
        device: what one process computes on.
        mixed_precision: "no", "bf16" or "fp16", as Accelerate names them.
    """
    kind = _kind(device, mixed_precision)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        listed = listed_peak(name, kind)
        if listed is not None:
            return listed, f"{name}, {kind}, its data sheet"
        return _measured(device.type, kind, 1), f"{name}, {kind}, a product of {GPU_WIDTH} x {GPU_WIDTH} matrices"
    threads = torch.get_num_threads()
    told = f"{threads} thread{'s' * (threads > 1)}"
    return _measured(device.type, kind, threads), f"{device.type}, {told}, {kind}, a product of matrices"


def listed_peak(name: str, kind: str) -> float | None:
    """None where the data sheet is not known."""
    return next((peaks.get(kind) for pattern, peaks in PEAKS if re.search(pattern, name)), None)


def _kind(device: torch.device, mixed_precision: str) -> str:
    if mixed_precision != "no":
        return mixed_precision
    fast = device.type == "cuda" and torch.get_float32_matmul_precision() != "highest"
    return "tf32" if fast and torch.cuda.get_device_capability(device)[0] >= 8 else "fp32"


@lru_cache
def _measured(device: str, kind: str, threads: int) -> float:
    """The fastest of a few products; once a process, about 30 ms."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(kind, torch.float32)
    width = GPU_WIDTH if device == "cuda" else 64 * round(WIDTH / 64 * math.sqrt(threads))
    generator = torch.Generator().manual_seed(0)  # the run's own draws stay as they are
    matrix = torch.rand(width, width, generator=generator).to(device, dtype)
    fastest = math.inf
    with torch.no_grad():
        for _ in range(1 + REPEATS):  # the first one chooses kernels
            _wait(device)
            begun = time.perf_counter()
            matrix @ matrix
            _wait(device)
            fastest = min(fastest, time.perf_counter() - begun)
    return 2 * width**3 / fastest


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()
