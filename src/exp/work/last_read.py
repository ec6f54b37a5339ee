"""What a process knows of a study since it last read it.

To read a study costs every worker what all others have done since, and the trials of all that are at work: with 64
workers more than all the rest of a short trial. So it is done anew when it is needed, or when it is cheap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial, TrialState

GIVEN_BACK = "gave_slot_back"
RETRY_OF = "retry_of"
REST = 20.0  # times what a read took: how long it holds, so that reading is a twentieth of the work at the most


class LastRead:
    """All trials as they were read, what that took, and until when it holds."""

    def __init__(self) -> None:
        self.trials: list[FrozenTrial] = []
        self.any_waiting = False
        self.seconds = 0.0  # that it took
        self.until = 0.0  # by the monotonic clock

    def anew(self, read: Callable[[], list[FrozenTrial]]) -> list[FrozenTrial]:
        begun = time.monotonic()
        self.trials = read()
        now = time.monotonic()
        self.any_waiting = any(trial.state == TrialState.WAITING for trial in self.trials)
        self.seconds = now - begun
        self.until = now + REST * self.seconds
        return self.trials

    def holds(self) -> bool:
        return time.monotonic() < self.until

    def forget(self) -> None:
        self.until = 0.0


def slot_holders(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that hold a slot of the total."""
    retried = {trial.user_attrs[RETRY_OF] for trial in trials if RETRY_OF in trial.user_attrs}
    return [t for t in trials if t.number not in retried and not t.user_attrs.get(GIVEN_BACK)]
