"""One class a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Gt

from exp.data.media import Media
from exp.task import sounds
from exp.task.media_classification import MediaClassification
from exp.task.media_transforms import MediaFeatures, Transform
from exp.task.sound_transforms import KNOWN

if TYPE_CHECKING:
    import torch

    from exp.data.features import EncodedRows, FeatureSet

SHORTEST = 0.1  # seconds; less is filled with silence, because convolutions need some length
_USAGE = """import soundfile
from transformers import pipeline

predict = pipeline("audio-classification", model="PLACE")
sound, rate = soundfile.read("....wav")  # one channel, at the rate of predict.feature_extractor
predict({"raw": sound, "sampling_rate": rate})"""


@dataclass(frozen=True)
class AudioClassification(MediaClassification):
    """See conf/task/audio_classification.yaml for the keys."""

    audio_column: str | None
    max_length_seconds: Annotated[float, Gt(0)] | None
    freeze_feature_encoder: bool | None

    kind: ClassVar[Literal["image", "audio"]] = "audio"
    processor_kind: ClassVar[Literal["image_processor", "feature_extractor"]] = "feature_extractor"
    auto_class: ClassVar[str] = "AutoModelForAudioClassification"
    known_transforms: ClassVar[Mapping[str, type]] = KNOWN
    usual_transforms: ClassVar[tuple[str, ...]] = ()
    usual_metrics: ClassVar[tuple[str, ...]] = ("accuracy", "f1_macro")
    counted_in: ClassVar[str] = "milliseconds"
    usage: ClassVar[str | None] = _USAGE

    def prepare(self, model: Any, processor: Any) -> None:
        """Freezes the convolutions that read the waveform, as run_audio_classification does with a pretrained model."""
        freeze = getattr(model, "freeze_feature_encoder", None)
        wanted = self.freeze_feature_encoder
        if wanted is None:
            wanted = bool(model.name_or_path)  # its weights come from a checkpoint
        if freeze is not None and wanted:
            freeze()

    def measured(self, cells: Sequence[Media]) -> EncodedRows:
        from exp.data.features import EncodedRows, Ragged

        with ThreadPoolExecutor() as pool:  # libsndfile decodes outside of Python's lock
            found = list(pool.map(sounds.length_of, cells))
        ones = Ragged(np.ones(len(found), np.int8), np.arange(len(found) + 1, dtype=np.int64))
        frames = [np.array(one, np.int64) for one in found]
        return EncodedRows({"length": ones}, kept={"frames": Ragged.of(frames, np.int64)})

    def features(
        self, plain: FeatureSet, cells: Sequence[Media], processor: Any, transforms: Sequence[Transform]
    ) -> FeatureSet:
        return SoundFeatures(plain, cells, transforms, int(processor.sampling_rate), self.max_length_seconds)

    def collate(
        self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None
    ) -> SoundCollator:
        return SoundCollator(processor)


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
        self.rate, self.longest = rate, longest
        pairs = [plain.kept["frames"][row] for row in range(len(plain))]
        self.lengths = [max(1, round(1000 * int(frames) / int(own))) for frames, own in pairs]  # milliseconds

    def decoded(self, row: int, dice: np.random.Generator | None) -> dict[str, Any]:
        cell = self.cells[row]
        if dice is None:
            return {"media": sounds.read(cell, self.rate)}
        frames, own = (int(value) for value in self.kept["frames"][row])
        most = frames if self.longest is None else max(1, round(self.longest * own))
        start = int(dice.integers(frames - most + 1)) if frames > most else 0
        sound = sounds.read(cell, self.rate, start, min(most, frames))
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
