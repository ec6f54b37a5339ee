"""Sound from files: one channel of floats, at the rate that the model reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exp.data.features import EncodedRows, FeatureSet, Ragged
from exp.data.media import Media
from exp.errors import ExpError
from exp.task.media_classification import require
from exp.task.media_features import MediaFeatures, measured_rows
from exp.task.media_transforms import Transform

if TYPE_CHECKING:
    import torch

Sound = NDArray[np.float32]
SHORTEST = 0.1  # seconds; less is filled with silence, because convolutions need some length


def measured(cells: Sequence[Media]) -> EncodedRows:
    """Decodes every recording once; keeps its frames and rate. Raises ExpError for one that cannot be heard."""
    with ThreadPoolExecutor() as pool:  # libsndfile decodes outside of Python's lock
        found = [np.array(one, np.int64) for one in pool.map(length_of, cells)]
    return measured_rows(len(cells), kept={"frames": Ragged.of(found, np.int64)})


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


class SoundFeatures(MediaFeatures):
    """`longest` seconds are cut out of a longer recording in training; evaluation hears all of it."""

    def __init__(
        self,
        plain: FeatureSet,
        cells: Sequence[Media],
        transforms: Sequence[Transform],
        rate: int,
        longest: float | None,
    ) -> None:
        super().__init__(plain, cells, transforms)
        self.rate, self.most_seconds = rate, longest
        pairs = [plain.kept["frames"][row] for row in range(len(plain))]
        self.lengths = [max(1, round(1000 * int(frames) / int(own))) for frames, own in pairs]  # milliseconds

    def decoded(self, row: int, dice: np.random.Generator | None) -> dict[str, Any]:
        cell = self.cells[row]
        if dice is None:
            return {"media": read(cell, self.rate)}
        frames, own = (int(value) for value in self.kept["frames"][row])
        most = frames if self.most_seconds is None else max(1, round(self.most_seconds * own))
        start = int(dice.integers(frames - most + 1)) if frames > most else 0
        sound = read(cell, self.rate, start, min(most, frames))
        for transform in self.transforms:
            sound = transform(sound, dice)
        return {"media": sound}


class SoundCollator:
    """What the model's feature extractor makes of a batch, padded to its longest recording, and `labels`."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.shortest = round(SHORTEST * processor.sampling_rate)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        import torch

        heard = [np.pad(row["media"], (0, max(0, self.shortest - len(row["media"])))) for row in rows]
        batch = dict(
            self.processor(heard, sampling_rate=self.processor.sampling_rate, padding=True, return_tensors="pt")
        )
        if "labels" in rows[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in rows], dtype=torch.int64)
        return batch
