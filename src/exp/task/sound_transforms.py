"""Transforms of sound, with names and arguments of audiomentations'; arrays of samples between -1 and 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from exp.errors import ExpError

if TYPE_CHECKING:
    import numpy as np

    from exp.task.sounds import Sound

Share = Annotated[float, Ge(0), Le(1)]


def _check_order(what: Any, low: str, high: str) -> None:
    if getattr(what, low) > getattr(what, high):
        name = type(what).__name__
        raise ExpError(
            f"task.train_transforms.{name}: {low}={getattr(what, low)} is above {high}={getattr(what, high)}"
        )


@dataclass(frozen=True)
class Gain:
    """Louder or softer."""

    min_gain_db: float = -12.0
    max_gain_db: float = 12.0
    p: Share = 0.5

    def __post_init__(self) -> None:
        _check_order(self, "min_gain_db", "max_gain_db")

    def __call__(self, sound: Sound, dice: np.random.Generator) -> Sound:
        import numpy as np

        if dice.random() >= self.p:
            return sound
        return sound * np.float32(10 ** (dice.uniform(self.min_gain_db, self.max_gain_db) / 20))


@dataclass(frozen=True)
class AddGaussianSNR:
    """White noise, so many decibels below the sound."""

    min_snr_db: float = 5.0
    max_snr_db: float = 40.0
    p: Share = 0.5

    def __post_init__(self) -> None:
        _check_order(self, "min_snr_db", "max_snr_db")

    def __call__(self, sound: Sound, dice: np.random.Generator) -> Sound:
        import numpy as np

        if dice.random() >= self.p:
            return sound
        level = float(np.sqrt(np.mean(np.square(sound)))) * 10 ** (-dice.uniform(self.min_snr_db, self.max_snr_db) / 20)
        return sound + np.float32(level) * dice.standard_normal(len(sound), dtype=np.float32)


@dataclass(frozen=True)
class Shift:
    """Earlier or later by a share of the length; what leaves at one end comes back at the other, if `rollover`."""

    min_shift: Annotated[float, Ge(-1), Le(1)] = -0.5
    max_shift: Annotated[float, Ge(-1), Le(1)] = 0.5
    rollover: bool = True
    p: Share = 0.5

    def __post_init__(self) -> None:
        _check_order(self, "min_shift", "max_shift")

    def __call__(self, sound: Sound, dice: np.random.Generator) -> Sound:
        import numpy as np

        if dice.random() >= self.p:
            return sound
        places = round(dice.uniform(self.min_shift, self.max_shift) * len(sound))
        moved = np.roll(sound, places)
        if not self.rollover and places:
            moved[slice(0, places) if places > 0 else slice(places, None)] = 0.0
        return moved


@dataclass(frozen=True)
class PolarityInversion:
    p: Share = 0.5

    def __call__(self, sound: Sound, dice: np.random.Generator) -> Sound:
        return -sound if dice.random() < self.p else sound


KNOWN: Mapping[str, type] = {one.__name__: one for one in (Gain, AddGaussianSNR, Shift, PolarityInversion)}
