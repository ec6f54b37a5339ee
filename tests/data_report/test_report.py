"""exp data on files written by hand, as a user runs it."""

from __future__ import annotations

import json
import sys

import pytest

from exp.data.examples import Examples
from exp.data_report import command, rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    train = [{"text": f"a plain sentence number {n} with words", "label": "ab"[n % 2]} for n in range(40)]
    train += [{"text": "a plain sentence number 0 with words", "label": "b"}, {"text": "  ", "label": "a"}]
    train += [{"text": "caf\u00c3\u00a9 " * 200, "label": "rare"}]
    dev = [{"text": "A plain sentence, number 3 with words", "label": "b"}, {"text": "new", "label": "a"}]
    dev += [{"text": "a plain sentence number 1 with words", "label": "b"}]
    for name, lines in (("train", train), ("dev", dev)):
        (place / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return place


def run(folder, capsys, monkeypatch, *words):
    files = ["data=files", f"data.path={folder}", "data.train_file=train.jsonl", "data.validation_file=dev.jsonl"]
    monkeypatch.setattr(sys, "argv", ["exp data", *files, *words])
    command.main()
    return capsys.readouterr().out


def test_what_is_said(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = run(folder, capsys, monkeypatch, "task.max_length=64", "html=page.html")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "train 43 yes" in lines and "eval 3 yes" in lines
    assert "b 21 (48.8%) 2 (66.7%)" in lines and "rare 1 (2.3%) 0 (0.0%)" in lines
    assert any(line.startswith("train 43 ") and line.endswith("1 (2.3%)") for line in lines)  # one row is cut
    for said in (
        "train: 1 row whose text is empty",
        "train: 1 row whose text has occurred before",
        "train: 1 of them with another label than before",
        "train: 1 row that looks like UTF-8 read as cp1252 (â€™, Ã©)",
        "train: 1 label that occurs once: rare",
        "all splits: 2 of 46 rows repeat the text of an earlier one",
        "eval: 1 of 3 rows stand in train (1 with the same label); 1 more where only letters and digits count",
        "labels: a",
    ):
        assert said in lines, said
    assert any(line.startswith("input_ids: [CLS] a plain sentence") for line in lines)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<th class="num">train</th>' in page and "stand in train" in page
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]  # no run folder


def test_bad_words_are_one_line(folder, capsys, monkeypatch):
    for words, said in (
        (["task.max_lenght=3"], "max_lenght"),
        (["--multirun"], "--multirun: no such flag"),
        (["data.train_file=nothing.csv"], "nothing.csv"),
    ):
        with pytest.raises(SystemExit) as ended:
            run(folder, capsys, monkeypatch, *words)
        err = capsys.readouterr().err
        assert ended.value.code == 2 and said in err and len(err.splitlines()) == 1


def test_labels_of_every_form():
    names = ["x", "y", "z"]
    assert rows.counts(Examples([0, 1], {}, [2, 0]), names) == {"x": 1, "y": 0, "z": 1}
    assert rows.counts(Examples([0], {}, [[1.0, 0.0, 1.0]]), names) == {"x": 1, "y": 0, "z": 1}  # several a row
    assert rows.counts(Examples([0], {}, [[1, 0, 1]]), names) == {"x": 1, "y": 2, "z": 0}  # one a word
    assert rows.counts(Examples([0], {}, [0.5]), None) is None
    assert rows.counts(Examples([0], {}, None), names) is None


def test_shares_of_several_labels_a_row_are_of_rows():
    split = Examples([0, 1, 2, 3], {"text": list("abcd")}, [[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    told = rows.look("train", split, ["x", "y"])
    assert told.several and told.labels == {"x": 3, "y": 2} and told.rows == 4
    assert not rows.look("train", Examples([0], {"text": ["a"]}, [1]), ["x", "y"]).several
