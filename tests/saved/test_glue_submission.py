from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from exp import predict as entry
from exp.errors import ExpError
from exp.saved import glue_submission
from tests.finished_runs import contents, reviews_run, train

# As in GLUE's sample submission.
OFFICIAL = {
    "CoLA.tsv": {"0", "1"},
    "SST-2.tsv": {"0", "1"},
    "MRPC.tsv": {"0", "1"},
    "QQP.tsv": {"0", "1"},
    "WNLI.tsv": {"0", "1"},
    "STS-B.tsv": None,
    "QNLI.tsv": {"entailment", "not_entailment"},
    "RTE.tsv": {"entailment", "not_entailment"},
    "MNLI-m.tsv": {"entailment", "neutral", "contradiction"},
    "MNLI-mm.tsv": {"entailment", "neutral", "contradiction"},
    "AX.tsv": {"entailment", "neutral", "contradiction"},
}

# Thousands of rows are answered; by which model does not matter.
SMALL = ("model.num_hidden_layers=1", "model.hidden_size=32", "model.intermediate_size=32")


def of(name: str) -> glue_submission.File:
    return next(file for file in glue_submission.FILES if file.name == name)


@pytest.mark.parametrize("file", glue_submission.FILES, ids=lambda file: file.name)
def test_every_label_is_written_in_the_servers_words(file: glue_submission.File) -> None:
    names = glue_submission.TASKS[file.task].names
    given = [0.5] * file.rows if names is None else [names[row % len(names)] for row in range(file.rows)]
    lines = glue_submission.tsv(file, given).splitlines()
    assert lines[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in lines[1:]] == [str(row) for row in range(file.rows)]
    words = {line.split("\t")[1] for line in lines[1:]}
    assert words == (OFFICIAL[file.name] or {"0.500"})


def test_labels_keep_their_meaning() -> None:
    mrpc = glue_submission.tsv(of("MRPC.tsv"), ["equivalent"] + ["not_equivalent"] * 1724).splitlines()
    assert mrpc[1:3] == ["0\t1", "1\t0"]
    wnli = glue_submission.tsv(of("WNLI.tsv"), ["entailment"] + ["not_entailment"] * 145).splitlines()
    assert wnli[1:3] == ["0\t1", "1\t0"]


def test_scores_are_cut_to_their_range_and_rounded() -> None:
    given = [5.2, -0.1, 2.34567] + [1.0] * 1376
    assert glue_submission.tsv(of("STS-B.tsv"), given).splitlines()[1:4] == ["0\t5.000", "1\t0.000", "2\t2.346"]


def test_another_number_of_rows_is_refused() -> None:
    with pytest.raises(ExpError, match=r"WNLI\.tsv needs 146 rows, .* there are 3"):
        glue_submission.tsv(of("WNLI.tsv"), ["entailment"] * 3)


def test_a_zip_is_whole_and_overwrites_nothing(tmp_path: Path) -> None:
    members = {file.name: glue_submission.constant(file)[0] for file in glue_submission.FILES}
    path = tmp_path / "glue.zip"
    with pytest.raises(ExpError, match=r"AX\.tsv are missing"):
        glue_submission.write_zip(path, {name: text for name, text in members.items() if name != "AX.tsv"})
    assert list(tmp_path.iterdir()) == []
    glue_submission.write_zip(path, members)
    with zipfile.ZipFile(path) as archive:
        assert set(archive.namelist()) == set(OFFICIAL)
        assert archive.read("QQP.tsv").decode().count("\n") == 390966
        assert archive.read("STS-B.tsv").decode().splitlines()[1] == "0\t0.000"
    with pytest.raises(ExpError, match="exists already"):
        glue_submission.write_zip(path, members)


@pytest.mark.slow
def test_mrpc_goes_into_a_submission_whole(glue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run saw a sample of the test set; the server gets every row."""
    words = ["data=mrpc", f"data.path={glue / 'MRPC'}", "data.max_train_samples=32", "data.max_eval_samples=16"]
    done = train(tmp_path / "run", *words, "max_steps=2", "optimizer.lr=1e-3", *SMALL)
    assert done.returncode == 0, done.stderr
    run = str(tmp_path / "run")
    entry.predict([run], {"data.split": "test"})
    assert "no MRPC.tsv: GLUE wants 1725 rows" in capsys.readouterr().out
    entry.predict([run], {"data.split": "test", "data.max_eval_samples": "null"})
    said = pq.read_table(tmp_path / "run" / "predictions" / "test.parquet")
    text = (tmp_path / "run" / "predictions" / "MRPC.tsv").read_text()
    word = {"equivalent": "1", "not_equivalent": "0"}
    assert [line.split("\t")[1] for line in text.splitlines()[1:]] == [word[p] for p in said["prediction"].to_pylist()]

    before = contents(tmp_path)
    with pytest.raises(ExpError, match=r"missing: CoLA\.tsv, .*AX\.tsv\. Give runs of these too"):
        entry.predict([run], {"glue_zip": str(tmp_path / "glue.zip")})
    with pytest.raises(ExpError, match="two runs of mrpc"):
        entry.predict([run, run], {"glue_zip": str(tmp_path / "glue.zip")})
    with pytest.raises(ExpError, match="is no task of GLUE"):
        entry.predict([run, str(reviews_run())], {"glue_zip": str(tmp_path / "glue.zip")})
    assert contents(tmp_path) == before
    entry.predict([run], {"glue_zip": str(tmp_path / "glue.zip"), "fill": True})
    assert "STS-B.tsv    filled: 0.000 in every row" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "glue.zip") as archive:
        assert archive.read("MRPC.tsv").decode() == text


@pytest.mark.slow
def test_mnli_answers_both_test_sets_and_the_diagnostic_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"test": 7, "test_mm": 5, "ax": 4}
    _mnli(tmp_path / "MNLI", rows)
    done = train(tmp_path / "run", "data=mnli", f"data.path={tmp_path / 'MNLI'}", "max_steps=2", *SMALL)
    assert done.returncode == 0, done.stderr
    small = [
        glue_submission.File(file.name, file.task, file.set, rows[file.set] if file.task == "mnli" else file.rows)
        for file in glue_submission.FILES
    ]
    monkeypatch.setattr(glue_submission, "FILES", tuple(small))
    entry.predict([str(tmp_path / "run")], {"data.split": "test_mm"})
    assert (tmp_path / "run" / "predictions" / "MNLI-mm.tsv").read_text().count("\n") == 6
    assert not (tmp_path / "run" / "predictions" / "MNLI-m.tsv").exists()
    entry.predict([str(tmp_path / "run")], {"glue_zip": str(tmp_path / "glue.zip"), "fill": True})
    assert "AX.tsv       filled" in capsys.readouterr().out  # there is no diagnostic set yet
    (tmp_path / "glue.zip").unlink()
    given = {"glue_zip": str(tmp_path / "glue.zip"), "fill": True}
    entry.predict([str(tmp_path / "run")], {**given, "ax": str(tmp_path / "MNLI" / "ax.tsv")})
    assert "filled" not in next(line for line in capsys.readouterr().out.splitlines() if "AX.tsv" in line)
    with zipfile.ZipFile(tmp_path / "glue.zip") as archive:
        counts = {name: archive.read(name).decode().count("\n") - 1 for name in ("MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv")}
    assert counts == {"MNLI-m.tsv": 7, "MNLI-mm.tsv": 5, "AX.tsv": 4}


def _mnli(folder: Path, rows: dict[str, int]) -> None:
    """A few rows in the columns of GLUE's own files that are read."""
    folder.mkdir()
    dice, labels = random.Random(0), ("entailment", "neutral", "contradiction")
    words = ["a", "dog", "cat", "sleeps", "runs", "never", "outside"]

    def text() -> str:
        return " ".join(dice.choice(words) for _ in range(4))

    def write(name: str, count: int, labelled: bool) -> None:
        head = "index\tsentence1\tsentence2" + ("\tgold_label" if labelled else "")
        lines = [f"{i}\t{text()}\t{text()}" + (f"\t{labels[i % 3]}" if labelled else "") for i in range(count)]
        (folder / name).write_text("\n".join([head, *lines]) + "\n")

    write("train.tsv", 24, True)
    write("dev_matched.tsv", 9, True)
    write("dev_mismatched.tsv", 9, True)
    write("test_matched.tsv", rows["test"], False)
    write("test_mismatched.tsv", rows["test_mm"], False)
    write("ax.tsv", rows["ax"], False)
