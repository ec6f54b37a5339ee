"""Names of Accelerate that are not public, each with the reason. tests/compat/test_accelerate.py notices a change."""

from __future__ import annotations


def forget_last_run() -> None:
    """Lets the next Accelerator of this process have another precision.

    Accelerate 1.15 keeps the precision of the first Accelerator for the whole process, refuses another one, and has no
    public way to forget it.
    """
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
