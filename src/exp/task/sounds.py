"""Sound from files: one channel of floats, at the rate that the model reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exp.data.media import Media
from exp.errors import ExpError
from exp.task.media_classification import require

Sound = NDArray[np.float32]


def length_of(cell: Media) -> tuple[int, int]:
    """Frames and rate in Hz. The whole file is decoded once.

    Raises ExpError, with the file's name, for what libsndfile cannot read, and for a recording without any sound in it.
    """
    with _opened(cell) as file:
        samples = file.read(dtype="float32", always_2d=True)
        rate = int(file.samplerate)
    if not len(samples):
        raise ExpError(f"{cell.name} has no samples: its length is zero")
    if not np.isfinite(samples).all():
        raise ExpError(f"{cell.name} has samples that are no finite numbers")
    return len(samples), rate


def read(cell: Media, rate: int, start: int = 0, frames: int = -1) -> Sound:
    """Channels averaged, resampled to `rate`.

    Args:
        start, frames: in samples of the file; -1: to its end.
    """
    with _opened(cell) as file:
        own = int(file.samplerate)
        file.seek(start)
        samples = file.read(frames, dtype="float32", always_2d=True).mean(axis=1)
    return samples if own == rate else resampled(samples, own, rate)


def resampled(samples: Sound, own: int, rate: int) -> Sound:
    """By SciPy's polyphase filter, which leaves out what the lower rate cannot hold."""
    from scipy.signal import resample_poly

    common = math.gcd(own, rate)
    return resample_poly(samples, rate // common, own // common).astype(np.float32)


@contextmanager
def _opened(cell: Media) -> Iterator[Any]:
    require("soundfile", "audio")
    import soundfile

    with cell.open() as stream:
        try:
            with soundfile.SoundFile(stream) as file:
                yield file
        except soundfile.SoundFileError as error:
            said = str(getattr(error, "error_string", error)).strip().rstrip(".")
            raise ExpError(f"{cell.name} is no recording that libsndfile can read ({said})") from None
