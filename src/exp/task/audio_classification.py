"""One class a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Gt

from exp.task.media_classification import MediaClassification
from exp.task.sound_transforms import KNOWN

if TYPE_CHECKING:
    from exp.data.features import EncodedRows, FeatureSet
    from exp.data.media import Media
    from exp.task.media_transforms import Transform
    from exp.task.sounds import SoundCollator

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
        from exp.task.sounds import measured

        return measured(cells)

    def features(
        self, plain: FeatureSet, cells: Sequence[Media], processor: Any, transforms: Sequence[Transform]
    ) -> FeatureSet:
        from exp.task.sounds import SoundFeatures

        return SoundFeatures(plain, cells, transforms, int(processor.sampling_rate), self.max_length_seconds)

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> SoundCollator:
        from exp.task.sounds import SoundCollator

        return SoundCollator(processor)
