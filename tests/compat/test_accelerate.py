"""Fails in words when Accelerate changes a name that exp.compat.accelerate uses."""

from __future__ import annotations

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from exp.compat.accelerate import forget_last_run


def test_another_precision_is_refused_until_the_last_run_is_forgotten() -> None:
    assert hasattr(AcceleratorState, "_reset_state"), (
        "accelerate has no AcceleratorState._reset_state any more: find another way to forget the last run's precision"
    )
    forget_last_run()
    Accelerator(cpu=True, mixed_precision="no")
    try:
        Accelerator(cpu=True, mixed_precision="bf16")
    except ValueError:
        pass
    else:
        pytest.fail("accelerate takes a second precision in one process by itself: forget_last_run can go")
    forget_last_run()
    assert Accelerator(cpu=True, mixed_precision="bf16").mixed_precision == "bf16"
    forget_last_run()
