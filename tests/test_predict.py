from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exp import predict as entry
from exp.errors import ExpError
from exp.options import arguments
from exp.saved import finished, predictions
from tests.finished_runs import contents, copy_of, reviews_run

TEXTS = ["the soup was lovely", "the staff was not nice, although the wine was great", "the rice seemed awful"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return copy_of(reviews_run(), tmp_path / "run")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_split_gets_the_predictions_that_the_run_wrote(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = pq.read_table(run / "predictions" / "test.parquet")
    (run / "predictions" / "test.parquet").unlink()
    entry.predict([str(run)], {"data.split": "test"})
    now = pq.read_table(run / "predictions" / "test.parquet")
    assert now.equals(written)  # scores to the last bit: the evaluation is the training's
    rows = rows_of(run / "predictions" / "test.csv")
    assert [row["id"] for row in rows] == [str(number) for number in range(40)]
    for row, scores in zip(rows, now["scores"].to_pylist(), strict=True):
        assert [float(row["score_negative"]), float(row["score_positive"])] == scores
        assert row["prediction"] == ("negative", "positive")[scores.index(max(scores))]
    text = capsys.readouterr().out
    recorded = json.loads((run / "result.json").read_text())["last"]["test/accuracy"]["value"]
    assert f"accuracy {recorded:.4f}" in text and "40 examples" in text


def test_any_split_can_be_predicted(run: Path) -> None:
    entry.predict([str(run)], {"data.split": "train", "out": str(run.parent / "train.csv")})
    assert len(rows_of(run.parent / "train.csv")) == 64
    assert not (run.parent / "train.parquet").exists()


def test_file_formats_agree_and_need_no_training_data(run: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(finished, "load_data", None)  # the data set of the run may be gone
    (tmp_path / "new.csv").write_text('sentence,label\n"' + '",positive\n"'.join(TEXTS) + '",negative\n')
    (tmp_path / "new.jsonl").write_text("\n".join(json.dumps({"sentence": text, "n": 1}) for text in TEXTS))
    pq.write_table(pa.table({"sentence": TEXTS}), tmp_path / "new.parquet")
    found = []
    for name in ("new.csv", "new.jsonl", "new.parquet"):
        entry.predict([str(run)], {"file": str(tmp_path / name), "out": str(tmp_path / f"out-{name}" / "said")})
        table = pq.read_table(tmp_path / f"out-{name}" / "said.parquet")
        assert (tmp_path / f"out-{name}" / "said.csv").exists()
        found.append(table.drop_columns("label"))
        labels = ["positive", "positive", "negative"] if name == "new.csv" else [None, None, None]
        assert table["label"].to_pylist() == labels
    assert found[0].equals(found[1]) and found[0].equals(found[2])
    assert not (run / "predictions" / "new.parquet").exists()


def test_a_file_with_labels_is_measured(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.csv").write_text("sentence,label\nthe soup was bad,negative\nthe soup was fine,positive\n")
    entry.predict([str(run)], {"file": str(tmp_path / "new.csv")})
    said = rows_of(run / "predictions" / "file_new.csv")
    right = sum(row["label"] == row["prediction"] for row in said)
    assert f"accuracy {right / 2:.4f}" in capsys.readouterr().out


def test_typed_text_gets_the_answer_that_the_file_gets(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.jsonl").write_text(json.dumps({"sentence": TEXTS[1]}))
    entry.predict([str(run)], {"file": str(tmp_path / "new.jsonl"), "out": str(tmp_path / "said.csv")})
    (row,) = rows_of(tmp_path / "said.csv")
    capsys.readouterr()
    typed = iter(["", TEXTS[1]])
    prompts = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        text = next(typed, None)
        if text is None:
            raise EOFError
        return text

    found = finished.find(str(run))
    entry.converse(found, finished.load_model(found), ask)
    said = capsys.readouterr().out.splitlines()[1].split()
    assert prompts == ["sentence> "] * 3
    assert said[0] == row["prediction"]
    scores = dict(zip(said[1::2], map(float, said[2::2]), strict=True))
    assert scores == {name: pytest.approx(float(row[f"score_{name}"]), abs=6e-4) for name in ("negative", "positive")}


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("text\nhello\n", "new.csv", "has no column 'sentence'; the model reads sentence, the file has text"),
        ("", "new.csv", "is empty"),
        ("sentence\n", "new.csv", "has no rows"),
        ("sentence\nhello\n", "new.doc", "cannot tell its format from .doc"),
        ('{"sentence": 3}\n', "new.jsonl", "line 1: column 'sentence' is 3, not a text"),
        ("sentence,label\nhello,neutral\n", "new.csv", "line 2: label 'neutral'"),
        (None, "new.csv", "there is no file"),
    ],
)
def test_bad_files_change_nothing(run: Path, tmp_path: Path, content: str | None, name: str, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    before = contents(tmp_path)
    with pytest.raises(ExpError) as error:
        entry.predict([str(run)], {"file": str(tmp_path / name)})
    assert message in str(error.value)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "data.split=tset"], "data.split=tset: no such split; did you mean 'test'"),
        (["RUN", "data.split=test_mm"], "data.split=test_mm: reviews has no such split"),
        (["RUN", "data.split=test", "file=x.csv"], "data.split and file are both given"),
        (["RUN", "data.split=test", "out=RUN/run.json"], "no such ending"),
        (["RUN", "data.split=test", "out=RUN/predictions/test"], "exists already"),
        (["RUN", "data.split=test", "data.path=/x"], "data.path: the data of"),
        (["RUN", "data.split=test", "data.pth=/x"], "data.pth: no such key; did you mean 'path'"),
        (["RUN", "fill=true"], "belongs to glue_zip"),
        (["RUN", "RUN", "data.split=test"], "is given twice"),
        (["RUN", "glue_zip=glue.zip"], "is no task of GLUE"),
        (["RUN"], "nothing to predict"),
        (["RUN", "labels=no", "file=x.csv"], "labels=no: it takes one of read, ignore"),
        ([], "RUN is not given"),
        (["RUN", "rnu=x"], "rnu: no such key"),
        (["RUN", "file=a", "file=b"], "file is given twice"),
        (["RUN", "file="], "file= is empty"),
        (["x" * 300], "has 255 bytes at most"),
        (["~nosuchuser/x"], "there is no such user"),
    ],
)
def test_bad_words_change_nothing(run: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    before = contents(run)
    with pytest.raises(ExpError) as error:
        given = arguments.parse([word.replace("RUN", str(run)) for word in words], entry.GRAMMAR)
        entry.predict(given.bare, given)
    assert message in str(error.value)
    assert contents(run) == before


def test_texts_and_lines_get_one_answer_each(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As words, through a pipe and from a .txt file the same three answers."""
    (tmp_path / "new.txt").write_text("\n".join(TEXTS) + "\n")
    entry.predict([str(run)], {"file": str(tmp_path / "new.txt"), "out": str(tmp_path / "said.csv")})
    answers = [row["prediction"] for row in rows_of(tmp_path / "said.csv")]
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["exp predict", str(run), *(f"text={text}" for text in TEXTS)])
    entry.main()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == answers
    monkeypatch.setattr(sys, "argv", ["exp predict", f"run={run}"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(TEXTS) + "\n\n"))
    entry.main()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == answers


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ({"train_file": ["a.csv", "b.csv"], "sep": ";"}, "new.csv"),
        ({"train_file": "a.csv.xz", "sep": ";"}, "new.csv"),
        ({"train_file": "a.txt", "format": "csv", "sep": ";"}, "new.txt"),
        ({"train_file": "a", "format": "csv", "sep": ";"}, "new"),
    ],
)
def test_a_file_is_read_as_the_runs_own(run: Path, tmp_path: Path, node: dict[str, Any], name: str) -> None:
    (tmp_path / name).write_text("label;sentence\npositive;the soup, the wine\n")
    found = finished.find(str(run))
    found = replace(found, config={**found.config, "data": node})
    assert predictions.rows_of_file(found, tmp_path / name).columns["sentence"] == ["the soup, the wine"]


def test_other_rows_do_not_take_the_place_of_the_runs_own(run: Path, tmp_path: Path) -> None:
    before = contents(run)
    with pytest.raises(ExpError, match=r"made of .*eval\.parquet, and these are other rows.*out=new\.csv"):
        entry.predict([str(run)], {"data.split": "eval", "data.max_eval_samples": "5"})
    assert contents(run) == before
    out = tmp_path / "few.csv"
    entry.predict([str(run)], {"data.split": "eval", "data.max_eval_samples": "5", "out": str(out)})
    assert len(rows_of(out)) == 5


@pytest.mark.parametrize("second", ["-1", "", "maybe"])
def test_a_label_column_that_holds_something_else_can_be_left_aside(run: Path, tmp_path: Path, second: str) -> None:
    file = tmp_path / "new.csv"
    file.write_text(f"sentence,label\nthe soup was bad,negative\nthe soup was fine,{second}\n")
    with pytest.raises(ExpError, match=r"line 3: .*labels=ignore leaves the labels aside"):
        entry.predict([str(run)], {"file": str(file)})
    entry.predict([str(run)], {"file": str(file), "labels": "ignore", "out": str(tmp_path / "said.csv")})
    assert [row["label"] for row in rows_of(tmp_path / "said.csv")] == ["", ""]


def test_bad_input_ends_with_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["predict.py", "--help"])
    with pytest.raises(SystemExit):
        entry.main()
    assert "file=new.csv" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["predict.py", "/nowhere/at/all"])
    with pytest.raises(SystemExit) as ending:
        entry.main()
    assert ending.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
