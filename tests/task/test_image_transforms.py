"""Transforms with torchvision's arithmetic; numbers are worked out by hand from its source."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from exp.errors import ExpError
from exp.task import image_transforms as transforms
from exp.task import sound_transforms


def dice(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gradient(width: int = 40, height: int = 20) -> Image.Image:
    across = np.broadcast_to(np.arange(width, dtype=np.uint8), (height, width))
    return Image.fromarray(np.stack([across] * 3, axis=-1).copy())


def test_resize_keeps_the_shape_or_takes_two_edges():
    assert transforms.Resize(size=10)(gradient(), dice()).size == (20, 10)
    assert transforms.Resize(size=10)(gradient(21, 50), dice()).size == (10, 23)  # int(10 * 50 / 21)
    assert transforms.Resize(size=(8, 6))(gradient(), dice()).size == (6, 8)  # height, width


def test_center_crop_takes_the_middle_and_fills_what_is_small():
    cut = np.asarray(transforms.CenterCrop(size=10)(gradient(), dice()))
    assert cut.shape == (10, 10, 3) and cut[0, 0, 0] == 15  # round((40 - 10) / 2)
    filled = np.asarray(transforms.CenterCrop(size=24)(gradient(), dice()))
    assert filled.shape == (24, 24, 3) and (filled[:2] == 0).all() and filled[2, 0, 0] == 8


def test_random_crop_stays_inside_and_pads():
    starts = {np.asarray(transforms.RandomCrop(size=10)(gradient(), dice(seed)))[0, 0, 0] for seed in range(200)}
    assert starts == set(range(31))
    assert transforms.RandomCrop(size=32, pad_if_needed=True)(gradient(), dice()).size == (32, 32)
    with pytest.raises(ExpError, match="size 32 x 32 is more than an image of 20 x 40 has"):
        transforms.RandomCrop(size=32)(gradient(), dice())


def test_random_resized_crop_has_the_areas_and_shapes_of_its_ranges():
    crop = transforms.RandomResizedCrop(size=8)
    parts = [crop._part(400, 300, dice(seed)) for seed in range(300)]
    for left, top, width, height in parts:
        assert 0 <= left <= 400 - width and 0 <= top <= 300 - height
        assert 0.075 < width * height / 120000 <= 1.0 and 0.74 < width / height < 1.35
    shares = np.array([width * height / 120000 for *_, width, height in parts])
    assert 0.4 < shares.mean() < 0.6
    assert crop(gradient(), dice()).size == (8, 8)
    whole = transforms.RandomResizedCrop(size=8, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert whole._part(400, 300, dice()) == (50, 0, 300, 300)  # nothing of that area fits: the middle


def test_flips_turn_half_of_the_images():
    image = gradient()
    for kind, axis in ((transforms.RandomHorizontalFlip, 1), (transforms.RandomVerticalFlip, 0)):
        assert (np.asarray(kind(p=1.0)(image, dice())) == np.flip(np.asarray(image), axis)).all()
        assert kind(p=0.0)(image, dice()) is image
    turned = sum(transforms.RandomHorizontalFlip()(image, dice(seed)) is not image for seed in range(400))
    assert 160 < turned < 240


def test_colours_stay_within_their_factors():
    grey = Image.new("RGB", (2, 2), (100, 100, 100))
    levels = [transforms.ColorJitter(brightness=0.5)(grey, dice(seed)).getpixel((0, 0))[0] for seed in range(200)]
    assert 50 <= min(levels) < 60 and 140 < max(levels) <= 150
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    assert transforms.ColorJitter(hue=0.5)(red, dice(1)).getpixel((0, 0)) != (255, 0, 0)
    assert transforms.RandomGrayscale(p=1.0)(red, dice()).getpixel((0, 0)) == (76, 76, 76)
    assert transforms.RandomRotation(degrees=90)(gradient(), dice()).size == (40, 20)


def test_sound_is_louder_shifted_noisy_or_upside_down():
    sound = np.sin(np.arange(4000, dtype=np.float32))
    louder = sound_transforms.Gain(min_gain_db=6.0, max_gain_db=6.0, p=1.0)(sound, dice())
    assert np.allclose(louder, sound * 10**0.3) and louder.dtype == np.float32
    noisy = sound_transforms.AddGaussianSNR(min_snr_db=20.0, max_snr_db=20.0, p=1.0)(sound, dice())
    assert 10 * np.log10(np.mean(sound**2) / np.mean((noisy - sound) ** 2)) == pytest.approx(20, abs=0.3)
    later = sound_transforms.Shift(min_shift=0.25, max_shift=0.25, p=1.0)(sound, dice())
    assert (later == np.roll(sound, 1000)).all()
    silent = sound_transforms.Shift(min_shift=-0.25, max_shift=-0.25, rollover=False, p=1.0)(sound, dice())
    assert (silent[-1000:] == 0).all() and (silent[:3000] == sound[1000:]).all()
    assert (sound_transforms.PolarityInversion(p=1.0)(sound, dice()) == -sound).all()
