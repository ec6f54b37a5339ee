"""One class an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from exp.data.media import Media
from exp.errors import ExpError
from exp.task.image_transforms import KNOWN, Sized
from exp.task.media_classification import MediaClassification, require
from exp.task.media_transforms import MediaFeatures, Transform

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from exp.data.features import EncodedRows, FeatureSet


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
        from exp.data.features import EncodedRows, Ragged

        require("PIL", "vision")
        with ThreadPoolExecutor() as pool:  # Pillow decodes outside of Python's lock
            for _ in pool.map(_check, cells):
                pass
        ones = Ragged(np.ones(len(cells), np.int8), np.arange(len(cells) + 1, dtype=np.int64))
        return EncodedRows({"length": ones}, kept={})

    def features(
        self, plain: FeatureSet, cells: Sequence[Media], processor: Any, transforms: Sequence[Transform]
    ) -> FeatureSet:
        return ImageFeatures(plain, cells, [_filled(one, processor) for one in transforms])

    def collate(
        self, processor: Any, pad_to_multiple_of: int | None, labels: Sequence[str] | None
    ) -> ImageCollator:
        return ImageCollator(processor)


class ImageFeatures(MediaFeatures):
    def decoded(self, row: int, dice: np.random.Generator | None) -> dict[str, Any]:
        image = open_image(self.cells[row])
        if dice is None or not self.transforms:
            return {"media": image, "sized": False}
        for transform in self.transforms:
            image = transform(image, dice)
        return {"media": image, "sized": any(isinstance(one, Sized) for one in self.transforms)}


class ImageCollator:
    """`pixel_values` [rows, channels, height, width] by the model's own processor, and `labels`.

    Images that a transform has given their size are neither resized nor cropped again.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        import torch

        skipped: dict[str, Any] = {"do_resize": False} if rows[0]["sized"] else {}
        if skipped and getattr(self.processor, "do_center_crop", None):
            skipped["do_center_crop"] = False
        made = self.processor(images=[row["media"] for row in rows], return_tensors="pt", **skipped)
        batch = {"pixel_values": made["pixel_values"]}
        if "labels" in rows[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in rows], dtype=torch.int64)
        return batch


def open_image(cell: Media) -> Image:
    """In RGB, turned as its EXIF says: what transformers' pipelines show a model.

    Grey, 1-bit, palette and CMYK images get three channels, transparency is dropped, and of 16-bit grey the upper byte
    counts, where Pillow's own conversion would make nearly all of it white.

    Raises ExpError, with the file's name, for what Pillow cannot open, and for values of 32 bits, whose range nobody
    tells.
    """
    require("PIL", "vision")
    from PIL import Image as images
    from PIL import ImageOps, UnidentifiedImageError

    with cell.open() as stream:
        try:
            image = images.open(stream)
            image.load()
            image = ImageOps.exif_transpose(image)
        except UnidentifiedImageError:
            raise ExpError(f"{cell.name} is no image that Pillow can open") from None
        except images.DecompressionBombError as error:
            raise ExpError(f"{cell.name}: {error}") from None
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise ExpError(f"{cell.name} is a damaged image ({error})") from None
    if image.mode in ("I", "F"):
        raise ExpError(f"{cell.name} has values of 32 bits (mode {image.mode}); save it with 8 or 16 bits a channel")
    if image.mode.startswith("I;16"):
        image = images.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "P":
        image = image.convert("RGBA")  # Pillow warns of palettes with transparency otherwise
    return image.convert("RGB")


def _check(cell: Media) -> None:
    open_image(cell)


def _filled(transform: Any, processor: Any) -> Any:
    """With the model's size where none was given: that of what the processor makes of an image."""
    if not isinstance(transform, Sized) or transform.size is not None:
        return transform
    from PIL import Image as images

    made = processor(images=images.new("RGB", (300, 200)), return_tensors="np")["pixel_values"]
    return dataclasses.replace(transform, size=(int(made.shape[-2]), int(made.shape[-1])))
