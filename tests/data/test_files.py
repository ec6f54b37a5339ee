from __future__ import annotations

import json
from pathlib import Path

import pytest

from exp.data.files import files
from exp.data.hub import hub
from exp.errors import ExpError

OPTIONS = {
    "path": None,
    "train_file": None,
    "validation_file": None,
    "test_file": None,
    "validation_share": 0.1,
    "split_seed": 13,
    "task": "classification",
    "text_columns": ["text"],
    "label_column": "label",
    "label_names": None,
    "id_column": None,
    "metrics": ["accuracy"],
    "max_length": 128,
    "max_train_samples": None,
    "max_eval_samples": None,
    "both_orders": False,
}
ROWS = [{"text": f'said "{number}", then\tleft', "label": ("no", "yes", "maybe")[number % 3]} for number in range(30)]


def get(**changes):
    return files(**(OPTIONS | changes))


def write(path: Path, rows=ROWS) -> str:
    import csv

    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        lines = [
            "\t".join(rows[0]),
            *("\t".join(str(cell).replace("\t", " ") for cell in row.values()) for row in rows),
        ]
        path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_every_format_gives_the_same_data(tmp_path: Path) -> None:
    found = {end: get(train_file=write(tmp_path / f"rows.{end}")) for end in ("csv", "jsonl", "parquet")}
    assert len({raw.fingerprint for raw in found.values()}) == 1
    assert found["csv"].label_names == ("maybe", "no", "yes")
    assert found["csv"].train[0]["text"].startswith('said "')
    tsv = get(train_file=write(tmp_path / "rows.tsv"))
    assert len(tsv.train) + len(tsv.evals[""]) == 30


def test_a_share_is_held_out_from_every_class(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv")
    raw = get(train_file=file, validation_share=0.2)
    assert sorted(raw.evals[""]["label"]) == [0, 0, 1, 1, 2, 2]
    assert sorted([*raw.train["idx"], *raw.evals[""]["idx"]]) == list(range(30))
    assert list(raw.evals[""]["idx"]) == list(get(train_file=file, validation_share=0.2).evals[""]["idx"])
    assert list(raw.evals[""]["idx"]) != list(get(train_file=file, validation_share=0.2, split_seed=1).evals[""]["idx"])


def test_own_validation_and_test_files_and_ids(tmp_path: Path) -> None:
    pairs = [{"key": f"k{n}", "q1": f"a{n}", "q2": f"b{n}", "same": n % 2} for n in range(6)]
    raw = get(
        path=str(tmp_path),
        train_file=Path(write(tmp_path / "train.jsonl", pairs)).name,
        validation_file=Path(write(tmp_path / "dev.csv", pairs[:3])).name,
        test_file=Path(
            write(tmp_path / "test.parquet", [{k: row[k] for k in ("key", "q1", "q2")} for row in pairs])
        ).name,
        text_columns=["q1", "q2"],
        label_column="same",
        label_names=[1, 0],
        id_column="key",
        both_orders=True,
    )
    assert raw.label_names == ("1", "0") and list(raw.evals[""]["label"]) == [1, 0, 1]
    assert list(raw.tests[""]["idx"]) == ["k0", "k1", "k2", "k3", "k4", "k5"]
    assert "label" not in raw.tests[""].column_names
    assert len(raw.train) == 12


def test_integer_labels_are_ordered_as_numbers(tmp_path: Path) -> None:
    rows = [{"text": "x", "label": value} for value in (10, 9, 2, 10)]
    file = write(tmp_path / "a.csv", rows)
    assert get(train_file=file, validation_file=file).label_names == ("2", "9", "10")


def test_regression(tmp_path: Path) -> None:
    rows = [{"text": f"t{n}", "label": n / 4} for n in range(20)]
    raw = get(train_file=write(tmp_path / "a.csv", rows), task="regression", metrics=["pearson", "mse"])
    assert raw.label_names is None and len(raw.evals[""]) == 2
    assert raw.train[0]["label"] == rows[raw.train[0]["idx"]]["label"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "a", "label": 1}\n{"label": 0}\n', "line 2: column 'text' is missing"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": 5, "label": 0}\n', "line 2: column 'text' is 5"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', "line 2: no label"),
        ("a.csv", "text,label\na,x\nb,\n", "line 3: no label"),
        ("a.csv", "text,label\na,x\nb,x\n", "every row has the label 'x'"),
        ("a.csv", "txt,label\na,x\nb,y\n", "no column 'text'; did you mean 'txt'"),
        ("a.csv", "text,label\na,x\nb\n", "a.csv, line 3: 1 fields, expected 2"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ExpError, match=message):
        get(train_file=str(tmp_path / name))


def test_a_label_that_training_lacks_is_named(tmp_path: Path) -> None:
    own = tmp_path / "dev.csv"
    own.write_text("text,label\na,no\nb,jes\n")
    with pytest.raises(ExpError, match=r"dev.csv, line 3: label 'jes' .* did you mean 'yes'"):
        get(train_file=write(tmp_path / "a.csv"), validation_file=str(own))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "needs data.train_file"),
        ({"train_file": "none.csv"}, "there is no file none.csv"),
        ({"task": "clasification"}, "did you mean 'classification'"),
        ({"task": "regression"}, "'accuracy' compares classes"),
        ({"text_columns": ["a", "b", "c"]}, "3 columns"),
        ({"text_columns": ["label"]}, "rename"),
        ({"label_names": ["a"]}, "two different names"),
        ({"both_orders": True}, "both_orders"),
        ({"max_train_samples": 0}, "max_train_samples=0"),
        ({"train_file": __file__.replace(".py", ".csv"), "validation_share": 1.5}, "validation_share=1.5"),
    ],
)
def test_bad_options_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        get(**changes)


HUB = {key: value for key, value in OPTIONS.items() if not key.endswith("_file") and key != "id_column"} | {
    "name": None,
    "revision": None,
    "train_split": "train",
    "validation_split": "validation",
    "test_split": None,
}


def test_hub_reads_a_local_folder_with_its_own_label_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    folder = tmp_path / "folder"
    folder.mkdir()
    for split, labels in {"train": [1, 0] * 10, "validation": [0, 1], "test": [-1, -1]}.items():
        rows = {"text": [f"{split} {n}" for n in range(len(labels))], "label": labels}
        Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    raw = hub(**(HUB | {"path": str(folder), "test_split": "test"}))
    assert raw.label_names == ("neg", "pos") and list(raw.train["label"])[:3] == [1, 0, 1]
    assert "label" not in raw.tests[""].column_names
    carved = hub(**(HUB | {"path": str(folder), "validation_split": None}))
    assert (len(carved.train), len(carved.evals[""])) == (18, 2)
    with pytest.raises(ExpError, match="no split 'valid'; did you mean 'validation'"):
        hub(**(HUB | {"path": str(folder), "validation_split": "valid"}))
    with pytest.raises(ExpError, match="no column 'sentence'"):
        hub(**(HUB | {"path": str(folder), "text_columns": ["sentence"]}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "needs data.path"),
        ({"path": "./nowhere"}, "no such folder"),
        ({"path": "someone/something"}, "HF_HUB_OFFLINE.*work offline"),
    ],
)
def test_hub_that_cannot_be_read(changes: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        hub(**(HUB | changes))
