"""Transforms of images, with the names, arguments and arithmetic of torchvision's on Pillow images.

They are here because torchvision's build on PyPI is linked against CUDA's torch and does not load beside torch for
processors ("operator torchvision::nms does not exist"). What each draws comes from a generator that it is given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le

from exp.errors import ExpError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image, Resampling

Size = Annotated[int, Ge(1)] | tuple[Annotated[int, Ge(1)], Annotated[int, Ge(1)]]  # both edges, or height and width
Share = Annotated[float, Ge(0), Le(1)]
Interpolation = Literal["nearest", "bilinear", "bicubic"]
_TRIES = 10  # of RandomResizedCrop, then the middle is taken


@dataclass(frozen=True)
class Sized:
    """`size` null: what the model reads. The image processor then neither resizes nor crops."""

    size: Size | None = None

    def edges(self) -> tuple[int, int]:
        """Height and width."""
        assert self.size is not None, "the model's size is filled in before a transform is called"
        return (self.size, self.size) if isinstance(self.size, int) else self.size


@dataclass(frozen=True)
class Resize(Sized):
    """An int is the shorter edge, and the shape stays; two numbers are height and width."""

    interpolation: Interpolation = "bilinear"

    def __call__(self, image: Image, dice: np.random.Generator) -> Image:
        width, height = image.size
        if isinstance(self.size, int):
            short, long = min(width, height), max(width, height)
            longer = int(self.size * long / short)
            new = (self.size, longer) if width <= height else (longer, self.size)
        else:
            new = self.edges()[::-1]
        return image.resize(new, _filter(self.interpolation))


@dataclass(frozen=True)
class CenterCrop(Sized):
    """A smaller image gets a black edge."""

    def __call__(self, image: Image, dice: np.random.Generator) -> Image:
        height, width = self.edges()
        image = _padded_to(image, height, width)
        top, left = round((image.height - height) / 2), round((image.width - width) / 2)
        return image.crop((left, top, left + width, top + height))


@dataclass(frozen=True)
class RandomCrop(Sized):
    """`padding` pixels of black on each side first, as CIFAR's recipe has 4."""

    padding: Annotated[int, Ge(0)] = 0
    pad_if_needed: bool = False

    def __call__(self, image: Image, dice: np.random.Generator) -> Image:
        height, width = self.edges()
        if self.padding:
            image = _padded(image, self.padding, self.padding, self.padding, self.padding)
        if self.pad_if_needed:
            x, y = max(0, width - image.width), max(0, height - image.height)
            image = _padded(image, x, y, x, y)
        if image.width < width or image.height < height:
            raise ExpError(
                f"task.train_transforms.RandomCrop: size {height} x {width} is more than an image of {image.height} x "
                f"{image.width} has; resize first, or set pad_if_needed"
            )
        top, left = int(dice.integers(image.height - height + 1)), int(dice.integers(image.width - width + 1))
        return image.crop((left, top, left + width, top + height))


@dataclass(frozen=True)
class RandomResizedCrop(Sized):
    """A part of the image, of any area and shape within the ranges, as a whole image (Szegedy et al. 2015)."""

    scale: tuple[Annotated[float, Gt(0), Le(1)], Annotated[float, Gt(0), Le(1)]] = (0.08, 1.0)  # share of the area
    ratio: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (3 / 4, 4 / 3)  # width over height
    interpolation: Interpolation = "bilinear"

    def __call__(self, image: Image, dice: np.random.Generator) -> Image:
        left, top, width, height = self._part(image.width, image.height, dice)
        part = image.crop((left, top, left + width, top + height))
        return part.resize(self.edges()[::-1], _filter(self.interpolation))

    def _part(self, width: int, height: int, dice: np.random.Generator) -> tuple[int, int, int, int]:
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for _ in range(_TRIES):
            area = width * height * dice.uniform(*self.scale)
            ratio = math.exp(dice.uniform(low, high))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                top = int(dice.integers(height - h + 1))
                return int(dice.integers(width - w + 1)), top, w, h
        w, h = width, height
        if width / height < min(self.ratio):
            h = round(w / min(self.ratio))
        elif width / height > max(self.ratio):
            w = round(h * max(self.ratio))
        return (width - w) // 2, (height - h) // 2, w, h


@dataclass(frozen=True)
class RandomHorizontalFlip:
    p: Share = 0.5

    def __call__(self, image: Image, dice: np.random.Generator) -> Image:
        from PIL import Image as images

        return image.transpose(images.Transpose.FLIP_LEFT_RIGHT) if dice.random() < self.p else image


@dataclass(frozen=True)
class RandomVerticalFlip:
    p: Share = 0.5

    def __call__(self, image: Image, dice: np.random.Generator) -> Image:
        from PIL import Image as images

        return image.transpose(images.Transpose.FLIP_TOP_BOTTOM) if dice.random() < self.p else image


@dataclass(frozen=True)
class RandomRotation:
    """By an angle of at most `degrees` to either side; corners become black."""

    degrees: Annotated[float, Ge(0), Le(180)]
    interpolation: Interpolation = "nearest"

    def __call__(self, image: Image, dice: np.random.Generator) -> Image:
        return image.rotate(dice.uniform(-self.degrees, self.degrees), _filter(self.interpolation))  # type: ignore[arg-type]


@dataclass(frozen=True)
class RandomGrayscale:
    p: Share = 0.1

    def __call__(self, image: Image, dice: np.random.Generator) -> Image:
        return image.convert("L").convert("RGB") if dice.random() < self.p else image


@dataclass(frozen=True)
class ColorJitter:
    """Factors from 1 - value to 1 + value, in an order that is drawn; `hue` is a part of the colour circle."""

    brightness: Annotated[float, Ge(0)] = 0.0
    contrast: Annotated[float, Ge(0)] = 0.0
    saturation: Annotated[float, Ge(0)] = 0.0
    hue: Annotated[float, Ge(0), Le(0.5)] = 0.0

    def __call__(self, image: Image, dice: np.random.Generator) -> Image:
        from PIL import ImageEnhance

        kinds = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast}
        kinds["saturation"] = ImageEnhance.Color
        names = [*kinds, "hue"]
        for at in dice.permutation(len(names)):
            name = names[at]
            most = getattr(self, name)
            if not most:
                continue
            if name == "hue":
                image = _hue_moved(image, dice.uniform(-most, most))
            else:
                image = kinds[name](image).enhance(dice.uniform(max(0.0, 1 - most), 1 + most))
        return image


KNOWN: Mapping[str, type] = {
    one.__name__: one
    for one in (
        *(Resize, CenterCrop, RandomCrop, RandomResizedCrop, RandomHorizontalFlip, RandomVerticalFlip),
        *(RandomRotation, RandomGrayscale, ColorJitter),
    )
}


def _filter(name: Interpolation) -> Resampling:
    from PIL import Image as images

    return images.Resampling[name.upper()]


def _padded(image: Image, left: int, top: int, right: int, bottom: int) -> Image:
    from PIL import Image as images

    whole = images.new(image.mode, (image.width + left + right, image.height + top + bottom))
    whole.paste(image, (left, top))
    return whole


def _padded_to(image: Image, height: int, width: int) -> Image:
    x, y = max(0, width - image.width), max(0, height - image.height)
    return _padded(image, x // 2, y // 2, (x + 1) // 2, (y + 1) // 2) if x or y else image


def _hue_moved(image: Image, share: float) -> Image:
    import numpy as np
    from PIL import Image as images

    hue, saturation, value = image.convert("HSV").split()
    moved = np.asarray(hue) + np.uint8(round(share * 255) % 256)  # a circle of 256 steps
    return images.merge("HSV", (images.fromarray(moved), saturation, value)).convert("RGB")
