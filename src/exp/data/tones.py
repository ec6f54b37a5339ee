"""Embedded data of sound: generated tones whose pitch rises, falls, or does one after the other.

Where the pitch begins, how far it goes, loudness and length are drawn, so that no pitch tells the class: a model has to
hear in which direction it moves, and whether it turns.

A fixed number of labels in every split is another class. Nobody can be right about those, so the best accuracy is
1 - `label_noise`, and a good run ends there. Samples come from whole numbers alone: the same bytes on every machine.
"""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from typing import Any

from exp.data.balanced import Balanced
from exp.data.dice import Dice

NAMES = ("falling", "peak", "rising", "valley")
RATE = 8000  # Hz
_LENGTHS = range(2000, 4001, 100)  # samples: a quarter to half of a second
_LOW = range(200, 601)  # Hz, where the pitch is lowest
_RISE = range(300, 801)  # Hz, from there to the highest
_LOUDNESS = range(20, 81)  # percent of the loudest


@dataclass(frozen=True)
class Tones(Balanced):
    """See conf/data/tones.yaml for the keys."""

    name = "tones"
    classes = NAMES
    column = "audio"

    def one(self, dice: Dice, kind: int) -> bytes:
        return recording(dice, kind)

    @property
    def roles(self) -> dict[str, Any]:
        return {
            "audio_column": "audio",
            "label_column": "label",
            "label_names": NAMES,
            "metrics": ["accuracy"],  # the classes are balanced
        }


def recording(dice: Dice, kind: int) -> bytes:
    """One sound as the bytes of a WAV file: a triangle wave, 16 bits."""
    import numpy as np

    length, low, rise = dice.pick(_LENGTHS), dice.pick(_LOW), dice.pick(_RISE)
    time = np.arange(length)
    turn = abs(2 * time - length)  # from `length` to 0 in the middle, and back
    height = (length - time, length - turn, time, turn)[kind]
    pitch = low + rise * height // length  # Hz
    phase = np.cumsum(pitch * 65536 // RATE) % 65536
    samples = (abs(phase - 32768) * 2 - 32767) * dice.pick(_LOUDNESS) // 100
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return held.getvalue()
