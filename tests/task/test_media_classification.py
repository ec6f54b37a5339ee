"""Images and sound: what a row becomes, what is drawn in training, what is refused, and the saved model's pipeline."""

from __future__ import annotations

import io
import wave

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from exp.data.dice import Dice
from exp.data.media import Media, media_of
from exp.data.rows import Rows, Source
from exp.data.textures import picture
from exp.data.tones import recording
from exp.errors import ExpError
from exp.loop.outputs import save_model
from exp.task import sounds
from exp.task.audio_classification import AudioClassification
from exp.task.image_classification import ImageClassification
from exp.task.images import open_image
from exp.testing.loops import config_of, parts_of, run_loop
from tests.conformance.task_data import TASKS

KEYS = {"label_column": None, "label_names": None, "no_label": None, "train_transforms": None, "metrics": None}


def image_task(**keys) -> ImageClassification:
    return ImageClassification(**{**KEYS, "image_column": None, **keys})


def audio_task(**keys) -> AudioClassification:
    own = {"audio_column": None, "max_length_seconds": None, "freeze_feature_encoder": None}
    return AudioClassification(**{**KEYS, **own, **keys})


def media(content: bytes, name: str = "given") -> Media:
    return Media(name, content)


def saved(image: Image.Image, kind: str = "PNG", **options) -> Media:
    held = io.BytesIO()
    image.save(held, kind, **options)
    return media(held.getvalue(), "shown.png")


def wav(samples, rate: int = 8000, channels: int = 1) -> Media:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples).astype("<i2").tobytes())
    return media(held.getvalue(), "heard.wav")


# ---- images ----


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_becomes_three_channels(mode):
    white = Image.new("RGB", (4, 3), "white").convert(mode)
    image = open_image(saved(white, "TIFF" if mode == "CMYK" else "PNG"))
    assert image.mode == "RGB" and image.size == (4, 3) and image.getpixel((0, 0)) == (255, 255, 255)


def test_of_sixteen_bits_the_upper_byte_counts():
    deep = Image.fromarray(np.full((2, 2), 0x8040, np.uint16))
    assert open_image(saved(deep)).getpixel((0, 0)) == (0x80,) * 3


def test_exif_turns_the_image():
    wide = Image.new("RGB", (6, 2))
    exif = wide.getexif()
    exif[0x0112] = 6  # a quarter of a turn
    assert open_image(saved(wide, "JPEG", exif=exif)).size == (2, 6)


def test_images_that_do_not_open_are_named():
    with pytest.raises(ExpError, match=r"^given is no image that Pillow can open$"):
        open_image(media(b"no image"))
    whole = saved(Image.effect_noise((64, 64), 50)).source
    with pytest.raises(ExpError, match=r"^half.png is a damaged image"):
        open_image(media(whole[: len(whole) // 2], "half.png"))
    with pytest.raises(ExpError, match=r"shown.png has values of 32 bits \(mode F\)"):
        open_image(saved(Image.new("F", (2, 2)), "TIFF"))


# ---- sound ----


def test_channels_are_averaged_and_the_rate_is_the_models():
    left_right = np.stack([np.full(800, 16384), np.zeros(800)], axis=1)
    sound = sounds.read(wav(left_right, channels=2), 8000)
    assert sound.shape == (800,) and np.allclose(sound, 0.25)
    assert len(sounds.read(wav(np.zeros(800)), 16000)) == 1600
    time = np.arange(8000) / 8000
    up = sounds.read(wav(10000 * np.sin(2 * np.pi * 440 * time)), 16000)
    wanted = 10000 / 32768 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(up - wanted)[200:-200].max() < 1e-3


def test_sound_that_cannot_be_heard_is_named():
    with pytest.raises(ExpError, match=r"heard.wav has no samples"):
        sounds.length_of(wav([]))
    with pytest.raises(ExpError, match=r"given is no recording that libsndfile can read"):
        sounds.length_of(media(b"no sound"))


# ---- cells ----


def test_a_path_is_meant_from_the_file_that_names_it(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    rows = Rows(tmp_path / "t.csv", {"image": ["a.png"]}, [2], sources=[Source(tmp_path / "t.csv", "line")])
    (cell,) = media_of(rows, "image")
    assert cell.name == "a.png" and cell.source == tmp_path / "a.png"
    for wrong, said in (
        ("b.png", r"t.csv, line 2: column 'image' names b.png, and there is no file .*did you mean 'a.png'"),
        (None, r"t.csv, line 2: column 'image' is missing"),
        (3, r"t.csv, line 2: column 'image' is 3, neither a path nor bytes"),
        (b"", r"t.csv, line 2: column 'image' holds no bytes"),
    ):
        with pytest.raises(ExpError, match=said):
            media_of(Rows(tmp_path / "t.csv", {"image": [wrong]}, [2], sources=rows.sources), "image")


def test_bytes_are_read_as_datasets_writes_them(tmp_path):
    cells = [b"x", {"bytes": b"x", "path": "a.png"}]
    found = media_of(Rows(tmp_path / "t.parquet", {"image": cells}, [1, 2]), "image")
    assert [cell.name for cell in found] == [f"{tmp_path}/t.parquet, row 1", "a.png"]
    assert str(found[0]) == str(found[1])  # the digest of the same contents


# ---- keys ----


def test_transforms_are_checked_with_the_config():
    assert image_task(train_transforms=["RandomVerticalFlip", {"RandomRotation": {"degrees": 10}}])
    for given, said in (
        ("RandomFlip", "there is no transform 'RandomFlip'; did you mean"),
        ({"RandomRotation": {"angle": 3}}, "task.train_transforms.RandomRotation.angle: no such key"),
        ({"RandomRotation": {"degrees": 400}}, "degrees=400 must be"),
        ({"RandomRotation": {"degrees": 3}, "Resize": {}}, "is no transform; write a name"),
        ("Gain", "there is no transform 'Gain'"),
    ):
        with pytest.raises(ExpError, match=said):
            image_task(train_transforms=[given])
    with pytest.raises(ExpError, match=r"min_gain_db=3.0 is above max_gain_db=1.0"):
        audio_task(train_transforms=[{"Gain": {"min_gain_db": 3.0, "max_gain_db": 1.0}}])


# ---- runs ----


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    return {name: TASKS[name](folder / name) for name in ("image_classification", "audio_classification")}


@pytest.mark.parametrize("task", ["image_classification", "audio_classification"])
def test_what_is_drawn_hangs_on_seed_epoch_and_row_alone(task, words):
    train = parts_of(config_of(*words[task])).encoded.train

    def shown(row: int):
        return np.asarray(train[row]["media"])

    plain = shown(3)
    train.begin_epoch(1, seed=5)
    drawn = shown(3)
    assert drawn.shape != plain.shape or (drawn != plain).any()
    train.begin_epoch(0, seed=5)
    other = shown(3)
    assert other.shape != drawn.shape or (other != drawn).any()
    shown(7)
    train.begin_epoch(1, seed=5)
    assert (shown(3) == drawn).all()


def test_images_fit_the_pipeline_of_transformers(words, tmp_path):
    from transformers import pipeline

    _, result, parts, run = run_loop(tmp_path / "run", *words["image_classification"], "max_steps=2")
    save_model(parts, run, result)
    model = pipeline("image-classification", model=str(run.model_folder), top_k=None)
    table = _table(run)
    for cell, row in zip(parts.data.evals[""].inputs["image"][:3], table, strict=False):
        found = {one["label"]: one["score"] for one in model(str(cell.source))}
        assert list(found) and [found[name] for name in parts.data.labels] == pytest.approx(row["scores"], rel=1e-5)
    # The run folder has copies of the images that were answered wrongly.
    first = pq.read_table(run.errors / "eval.parquet").to_pylist()[0]
    cell = parts.data.evals[""].inputs["image"][int(first["id"])]
    assert (run.errors / "eval" / "00.ppm").read_bytes() == cell.source.read_bytes()


def test_sound_fits_the_pipeline_of_transformers(words, tmp_path):
    from transformers import pipeline

    _, result, parts, run = run_loop(tmp_path / "run", *words["audio_classification"], "max_steps=2")
    save_model(parts, run, result)
    model = pipeline("audio-classification", model=str(run.model_folder))
    rate = model.feature_extractor.sampling_rate
    for cell, row in zip(parts.data.evals[""].inputs["audio"][:3], _table(run), strict=False):
        heard = {"raw": sounds.read(cell, rate), "sampling_rate": rate}
        found = {one["label"]: one["score"] for one in model(heard, top_k=3)}
        assert [found[name] for name in parts.data.labels] == pytest.approx(row["scores"], rel=1e-4)


def _table(run) -> list[dict]:
    import pyarrow.parquet as pq

    return pq.read_table(run.predictions / "eval.parquet").to_pylist()


def test_generated_data_are_the_same_on_every_machine():
    assert str(media(picture(Dice(7), 4))).startswith("6c9e453efd7a")
    assert str(media(recording(Dice(7), 1))).startswith("287cd1d936a2")
