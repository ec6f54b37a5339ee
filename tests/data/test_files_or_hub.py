"""Public data sets from their own files, or from the Hub."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from exp.config.compose import compose
from exp.data.files import Files
from exp.data.files_or_hub import FilesOrHub
from exp.data.hub import HubDataset
from exp.errors import ExpError


def option(*words):
    node = OmegaConf.to_container(compose(words).data)
    assert node.pop("_target_") == "exp.data.files_or_hub.FilesOrHub"
    return FilesOrHub(**node)


def questions(path: Path, count: int) -> Path:
    path.write_text("\n".join(json.dumps({"question": str(i), "context": "c", "answers": None}) for i in range(count)))
    return path


@pytest.mark.parametrize(
    ("data", "path", "name", "splits"),
    [
        ("squad", "rajpurkar/squad", None, ("train", "validation", None)),
        ("squad_v2", "rajpurkar/squad_v2", None, ("train", "validation", None)),
        ("swag", "allenai/swag", "regular", ("train", "validation", None)),
        ("commonsenseqa", "tau/commonsense_qa", None, ("train", "validation", "test")),
    ],
)
def test_without_files_it_is_the_hub(data, path, name, splits):
    found = option(f"data={data}")._source()
    assert isinstance(found, HubDataset) and (found.path, found.name) == (path, name)
    assert (found.train_split, found.validation_split, found.test_split) == splits


def test_a_folder_has_the_official_names(tmp_path):
    for name in ("train-v2.0.json", "dev-v2.0.json"):
        questions(tmp_path / name, 3)
    found = option("data=squad_v2", f"data.path={tmp_path}")._source()
    assert isinstance(found, Files)
    assert (found.train_file, found.validation_file, found.test_file) == ("train-v2.0.json", "dev-v2.0.json", None)


def test_files_that_are_named_are_all_there_is(tmp_path):
    file = questions(tmp_path / "mine.jsonl", 20)
    raw = option("data=squad", f"data.train_file={file}").read()
    assert (raw.name, len(raw.train), raw.evals, raw.hold_out is not None) == ("squad", 20, {}, True)


def test_a_folder_without_them_says_what_is_missing(tmp_path):
    questions(tmp_path / "train-v1.1.json", 3)
    with pytest.raises(ExpError, match=r"data\.validation_file: there is no file .*dev-v1\.1\.json"):
        option("data=squad", f"data.path={tmp_path}")


def test_columns_are_named_as_in_the_files_or_as_on_the_hub(tmp_path):
    row = {"id": "a", "question": {"stem": "s", "choices": [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}]}}
    with gzip.open(tmp_path / "train_rand_split.jsonl.gz", "wt") as file:
        file.write(json.dumps({**row, "answerKey": "A"}))
    (tmp_path / "dev_rand_split.jsonl").write_text(json.dumps({**row, "answerKey": "B"}))
    (tmp_path / "test_rand_split_no_answers.jsonl").write_text(json.dumps(row))
    raw = option("data=commonsenseqa", f"data.path={tmp_path}").read()
    assert raw.roles["context_column"] == "question.stem" and raw.id_column == "id"
    assert raw.train.column("question.stem") == ["s"] and "answerKey" not in raw.tests[""]
    assert option("data=commonsenseqa")._roles()["context_column"] == "question"
