"""Folders of images and recordings: classes, splits, and what is refused."""

from __future__ import annotations

import logging

import pytest

from exp.data.media_folder import MediaFolder
from exp.errors import ExpError

KEYS = {
    "kind": "image",
    "name": None,
    "train_folder": None,
    "validation_folder": None,
    "test_folder": None,
    "label_pattern": None,
    "validation_share": 0.1,
    "split_seed": 13,
    "max_train_samples": None,
    "max_eval_samples": None,
}


def folder_of(path, **keys) -> MediaFolder:
    return MediaFolder(**{**KEYS, "path": str(path), **keys})


def write(root, *names: str):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_class_folders_of_every_split(tmp_path):
    write(tmp_path, "train/cat/a.JPG", "train/dog/more/b.png", "val/cat/c.png", "test/d.png", "test/.hidden/x.png")
    raw = folder_of(tmp_path).read()
    assert raw.name == tmp_path.name and raw.id_column == "file" and raw.hold_out is None
    assert raw.train.columns["file"] == ["train/cat/a.JPG", "train/dog/more/b.png"]
    assert raw.train.columns["label"] == ["cat", "dog"]
    assert raw.evals[""].columns["label"] == ["cat"] and raw.tests[""].columns["label"] == [None]
    assert raw.train.where(0) == str(tmp_path / "train/cat/a.JPG")


def test_a_folder_without_splits_holds_a_share_out(tmp_path):
    raw = folder_of(write(tmp_path, "cat/a.png", "dog/b.png")).read()
    assert raw.train.columns["label"] == ["cat", "dog"] and raw.hold_out.share == 0.1 and not raw.evals


def test_labels_in_names(tmp_path):
    source = folder_of(write(tmp_path, "train/7_x_1.wav", "train/0_y_2.flac"), kind="audio", label_pattern=r"^(\d)_")
    assert source.read().train.columns["label"] == ["0", "7"] and source.columns()[0] == "audio"
    with pytest.raises(ExpError, match=r"0_y_2.flac: data.label_pattern=\^\(x\) finds no label in its name"):
        folder_of(tmp_path, kind="audio", label_pattern="^(x)").read()


def test_files_of_another_kind_are_counted(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="exp"):
        folder_of(write(tmp_path, "cat/a.png", "cat/Thumbs.db", "cat/b.txt", "dog/c.png")).read()
    assert "left out files that are no image: 1 .db, 1 .txt" in caplog.text


def test_what_cannot_be_read_is_one_line(tmp_path):
    root = write(tmp_path / "set", "train/cat/a.png", "train/dog/b.txt", "flat/a.png", "only/test/cat/a.png")
    (tmp_path / "nothing").mkdir()
    for keys, said in (
        ({"path": tmp_path / "sett"}, "there is no such folder; did you mean 'set'"),
        ({"path": root}, "train/dog is a class folder without any image file"),
        ({"path": root / "flat"}, "flat/a.png stands in no class folder"),
        ({"path": root / "only"}, "has a test folder and none for training"),
        ({"path": tmp_path / "nothing"}, r"nothing holds no image file \(.jpg"),
        ({"path": root, "train_folder": "trian"}, "train_folder=trian: there is no folder .*; did you mean 'train'"),
        ({"path": root, "label_pattern": "("}, "is no regular expression"),
        ({"path": root, "label_pattern": "a"}, "has 0 groups; one pair of parentheses"),
    ):
        with pytest.raises(ExpError, match=said) as error:
            folder_of(**keys).read()
        assert "\n" not in str(error.value)
    with pytest.raises(ExpError, match=r"data=audio_folder needs data.path"):
        MediaFolder(**{**KEYS, "kind": "audio", "path": None})
