"""Which process wrote something, and whether it still lives. A process id alone does not say: ids are used again."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CLOCK = 2.0  # seconds by which the start time of one process may be told differently when the clock was set


def machine() -> str:
    """Names the kernel and process namespace in which a process id means something."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def this_process() -> dict[str, Any]:
    """What a record keeps of its writer: `pid`, `host`, `machine` and `started` (seconds since 1970)."""
    return {"pid": os.getpid(), "host": platform.node(), "machine": machine(), "started": started(os.getpid())}


def started(pid: int) -> float | None:
    """When the process began, in seconds since 1970; None if it is gone (or has ended and waits for its parent)."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return None
    except psutil.AccessDenied:
        return 0.0


def lives(writer: Mapping[str, Any]) -> bool | None:
    """Whether the process of a record lives; None where that cannot be known from here.

    Args:
        writer: what `this_process` gave, read back. Records of the first version lack `machine` and `started`.
    """
    pid, host, began = writer.get("pid"), writer.get("host"), writer.get("started")
    here = host == platform.node() and writer.get("machine", machine()) == machine()
    if isinstance(pid, bool) or not isinstance(pid, int):
        return None
    if not here:
        # The same host with another kernel has been started again since: nothing of then lives.
        restarted = (
            host == platform.node() and str(writer.get("machine")).partition("/")[0] != machine().partition("/")[0]
        )
        return False if restarted else None
    now = started(pid)
    if now is None:
        return False
    return not isinstance(began, int | float) or abs(now - began) <= CLOCK or now == 0.0


def is_stopped(pid: int) -> bool:
    """Whether a process of this machine was halted (SIGSTOP, a debugger) and does nothing."""
    import psutil

    try:
        return psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.Error:
        return False
