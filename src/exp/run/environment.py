"""What a run depended on beside its config: code, packages, machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

# What a run's numbers come from; of these each difference is told, and which are absent.
PACKAGES = (
    *("exp", "hydra-core", "omegaconf", "optuna", "torch", "transformers", "tokenizers", "datasets", "evaluate"),
    *("accelerate", "wandb", "peft", "bitsandbytes", "numpy", "safetensors"),
)
LONGEST_DIFF = 200_000  # characters; beyond it a diff is a branch that should have been committed


def packages() -> dict[str, str]:
    """Every installed package, `PACKAGES` first, with Python.

    From the names of folders: importlib.metadata opens 240 files for that, which took 0.9 s.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208
        except OSError:
            continue
        for name in names:
            if name.endswith(".dist-info"):
                package, _, version = name.removesuffix(".dist-info").partition("-")
                found.setdefault(re.sub(r"[-_.]+", "-", package).lower(), version)
    ordered = [*(name for name in PACKAGES if name in found), *sorted(set(found) - set(PACKAGES))]
    return {"python": platform.python_version(), **{name: found[name] for name in ordered}}


def git(folder: Path, holds: str | None = None) -> dict[str, Any] | None:
    """Root folder, commit, dirtiness and diff of the checkout that `folder` lies in; None where there is none.

    Args:
        holds: a file of `folder` that the checkout has to track: an installed package may lie in someone's checkout.
    """

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    place = ask("rev-parse", "HEAD", "--show-toplevel")
    if place is None or (holds is not None and ask("ls-files", "--error-unmatch", holds) is None):
        return None
    commit, _, root = place.rstrip("\n").partition("\n")
    dirty = bool((ask("status", "--porcelain") or "").strip())
    diff = (ask("diff", "HEAD") or "") if dirty else ""
    return {
        "root": root,
        "commit": commit,
        "dirty": dirty,
        "diff": diff[:LONGEST_DIFF],
        "diff_cut": len(diff) > LONGEST_DIFF,
    }


def changed_files(folder: Path, below: str) -> list[str]:
    """What git calls changed or untracked at `below` in `folder`, as paths from the checkout's root."""
    words = ("git", "-C", str(folder), "status", "--porcelain", "-z", "--no-renames", "--", below)
    try:
        done = subprocess.run(words, capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line[3:] for line in done.stdout.decode(errors="replace").split("\0") if line]


def hardware() -> dict[str, Any]:
    """The machine as the operating system sees it; what torch sees is added when it is imported anyway."""
    facts: dict[str, Any] = {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "cores": cores(),
    }
    if "torch" in sys.modules:
        import torch

        facts["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            facts["gpus"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return facts


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of this machine's main memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpus() -> list[str]:
    """Ids of the GPUs that this process may use, without importing torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [item for item in given.split(",") if item.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [str(index) for index, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU")]
