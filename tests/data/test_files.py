from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.reading import option, read

from exp.data.examples import TaskData
from exp.errors import ExpError

ROWS = [{"text": f'said "{number}", then\tleft', "label": ("no", "yes", "maybe")[number % 3]} for number in range(30)]


def get(task: dict | None = None, **changes) -> TaskData:
    return read(option("data", "files", **changes), **(task or {}))


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
    assert len({data.fingerprint for data in found.values()}) == 1
    assert found["csv"].labels == ("maybe", "no", "yes")
    assert found["csv"].train.inputs["text"][0].startswith('said "')
    tsv = get(train_file=write(tmp_path / "rows.tsv"))
    assert len(tsv.train) + len(tsv.evals[""]) == 30


def test_a_share_is_held_out_from_every_class(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv")
    data = get(train_file=file, validation_share=0.2)
    held_out = data.evals[""]
    assert sorted(held_out.targets) == [0, 0, 1, 1, 2, 2]
    assert sorted([*data.train.ids, *held_out.ids]) == list(range(30))
    assert held_out.ids == get(train_file=file, validation_share=0.2).evals[""].ids
    assert held_out.ids != get(train_file=file, validation_share=0.2, split_seed=1).evals[""].ids


def test_own_validation_and_test_files_and_ids(tmp_path: Path) -> None:
    pairs = [{"key": f"k{n}", "q1": f"a{n}", "q2": f"b{n}", "same": n % 2} for n in range(6)]
    unlabelled = [{key: row[key] for key in ("key", "q1", "q2")} for row in pairs]
    data = get(
        {"text_columns": ["q1", "q2"], "label_column": "same", "label_names": [1, 0], "both_orders": True},
        path=str(tmp_path),
        train_file=Path(write(tmp_path / "train.jsonl", pairs)).name,
        validation_file=Path(write(tmp_path / "dev.csv", pairs[:3])).name,
        test_file=Path(write(tmp_path / "test.parquet", unlabelled)).name,
        id_column="key",
    )
    assert data.name == "train"
    assert data.labels == ("1", "0") and data.evals[""].targets == [1, 0, 1]
    assert data.tests[""].ids == ["k0", "k1", "k2", "k3", "k4", "k5"]
    assert data.tests[""].targets is None
    assert len(data.train) == 12 and data.train.inputs["q1"][6:] == data.train.inputs["q2"][:6]


def test_several_named_test_files(tmp_path: Path) -> None:
    own = {name: write(tmp_path / f"{name}.csv", ROWS[: 3 + at]) for at, name in enumerate(("news", "mail"))}
    data = get(train_file=write(tmp_path / "a.csv"), test_files=own)
    assert {name: len(split) for name, split in data.tests.items()} == {"news": 3, "mail": 4}
    assert list(data.splits()) == ["train", "eval", "test_news", "test_mail"]


def test_roles_of_the_files_hold_where_the_task_says_nothing(tmp_path: Path) -> None:
    rows = [{"body": "x", "text": "y", "label": value} for value in ("a", "b")]
    files = {"train_file": write(tmp_path / "a.csv", rows), "validation_file": write(tmp_path / "b.csv", rows)}
    files["roles"] = {"text_columns": ["body"], "max_length": 20}
    data = get(**files)
    assert (list(data.train.inputs), data.max_length) == (["body"], 20)
    assert list(get({"text_columns": ["text"]}, **files).train.inputs) == ["text"]


def test_the_header_tells_columns_before_any_row_is_read(tmp_path: Path) -> None:
    source = option("data", "files", train_file=write(tmp_path / "a.csv"))
    assert source.columns() == ["text", "label"]


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


def test_ids_that_are_missing_or_doubled_are_named(tmp_path: Path) -> None:
    for second, message in (("k1", r"line 3: id 'k1' stands in .*line 2 too"), ("", "line 3: no id in column 'key'")):
        (tmp_path / "a.csv").write_text(f"key,text,label\nk1,a,x\n{second},b,y\n")
        with pytest.raises(ExpError, match=message):
            get(train_file=str(tmp_path / "a.csv"), id_column="key")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "needs data.train_file"),
        ({"train_file": "none.csv"}, "there is no file none.csv"),
        ({"train_file": __file__}, r"data\.format"),
        ({"train_file": "a.csv", "path": "/nowhere/at/all"}, "data.path=/nowhere/at/all: there is no such folder"),
        ({"train_file": "a.csv", "test_file": "b.csv", "test_files": {"x": "b.csv"}}, "both given"),
        ({"train_file": "a.csv", "test_files": {"../x": "b.csv"}}, "data.test_files: '../x' cannot name a set of rows"),
    ],
)
def test_files_that_cannot_work_are_refused_before_any_is_opened(changes: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        option("data", "files", **changes)


def test_hub_reads_a_local_folder_with_its_own_label_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    def hub(task: dict | None = None, **changes) -> TaskData:
        return read(option("data", "hub", path=str(folder), **changes), **(task or {}))

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    folder = tmp_path / "folder"
    folder.mkdir()
    for split, labels in {"train": [1, 0] * 10, "validation": [0, 1], "test": [-1, -1]}.items():
        rows = {"text": [f"{split} {n}" for n in range(len(labels))], "label": labels}
        Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    data = hub(test_split="test")
    assert data.labels == ("neg", "pos") and data.train.targets[:3] == [1, 0, 1]
    assert data.tests[""].targets is None
    carved = hub(validation_split=None)
    assert (len(carved.train), len(carved.evals[""])) == (18, 2)
    with pytest.raises(ExpError, match="no split 'valid'; did you mean 'validation'"):
        hub(validation_split="valid")
    with pytest.raises(ExpError, match="no column 'sentence'"):
        hub({"text_columns": ["sentence"]})


def test_hub_gives_names_to_lists_of_class_indices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import ClassLabel, Dataset, Features, Sequence, Value

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    tags = ClassLabel(names=["O", "B-x", "I-x"])
    features = Features({"tokens": Sequence(Value("string")), "tags": Sequence(tags)})
    folder = tmp_path / "folder"
    folder.mkdir()
    for split in ("train", "validation"):
        rows = {"tokens": [["a", "b"], ["c"]], "tags": [[1, 2], [0]]}
        Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    data = read(option("data", "hub", path=str(folder)), "token_classification")
    assert data.labels == ("O", "B-x", "I-x") and data.train.targets == [[1, 2], [0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({}, "needs data.path"), ({"path": "./nowhere"}, "no such folder")],
)
def test_hub_options_that_cannot_work_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        option("data", "hub", **changes)


def test_a_hub_out_of_reach_says_how_to_go_on() -> None:
    with pytest.raises(ExpError, match=r"HF_HUB_OFFLINE.*work offline"):
        option("data", "hub", path="someone/something").read()
