"""One class an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from exp.task.image_transforms import KNOWN
from exp.task.media_classification import MediaClassification

if TYPE_CHECKING:
    from exp.data.features import EncodedRows, FeatureSet
    from exp.data.media import Media
    from exp.task.images import ImageCollator
    from exp.task.media_transforms import Transform


@dataclass(frozen=True)
class ImageClassification(MediaClassification):
    """See conf/task/image_classification.yaml for the keys."""

    image_column: str | None

    kind: ClassVar[Literal["image", "audio"]] = "image"
    processor_kind: ClassVar[Literal["image_processor", "feature_extractor"]] = "image_processor"
    auto_class: ClassVar[str] = "AutoModelForImageClassification"
    known_transforms: ClassVar[Mapping[str, type]] = KNOWN
    usual_transforms: ClassVar[tuple[str, ...]] = ("RandomResizedCrop", "RandomHorizontalFlip")
    usual_metrics: ClassVar[tuple[str, ...]] = ("accuracy", "top_5_accuracy", "f1_macro")
    counted_in: ClassVar[str] = "images"
    usage: ClassVar[str | None] = None

    def measured(self, cells: Sequence[Media]) -> EncodedRows:
        from exp.task.images import measured

        return measured(cells)

    def features(
        self, plain: FeatureSet, cells: Sequence[Media], processor: Any, transforms: Sequence[Transform]
    ) -> FeatureSet:
        from exp.task.images import ImageFeatures, with_size

        return ImageFeatures(plain, cells, [with_size(one, processor) for one in transforms])

    def collate(self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None) -> ImageCollator:
        from exp.task.images import ImageCollator

        return ImageCollator(processor)
