"""Images from files: opened, drawn anew in training, and as a model's own processor shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from exp.data.features import EncodedRows
from exp.data.media import Media
from exp.errors import ExpError
from exp.task.image_transforms import Sized
from exp.task.media_classification import require
from exp.task.media_features import MediaFeatures, measured_rows

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


def measured(cells: Sequence[Media]) -> EncodedRows:
    """Opens every image once. Raises ExpError for one that is damaged."""
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside of Python's lock
        for _ in pool.map(_check, cells):
            pass
    return measured_rows(len(cells), kept={})


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
            opened = images.open(stream)
            opened.load()
            image: Image = ImageOps.exif_transpose(opened)
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


def with_size(transform: Any, processor: Any) -> Any:
    """With the model's size where none was given: that of what the processor makes of an image."""
    if not isinstance(transform, Sized) or transform.size is not None:
        return transform
    from PIL import Image as images

    made = processor(images=images.new("RGB", (300, 200)), return_tensors="np")["pixel_values"]
    return dataclasses.replace(transform, size=(int(made.shape[-2]), int(made.shape[-1])))
