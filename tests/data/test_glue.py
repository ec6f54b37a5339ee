from __future__ import annotations

from pathlib import Path

import pytest
from tests.reading import option, read

from exp.data.examples import TaskData
from exp.data.glue import METRICS, TASKS
from exp.errors import ExpError


def get(name: str, path: Path | None, task: dict | None = None, **changes) -> TaskData:
    """As `data=<name> data.path=<path>`; `task` holds keys of the task."""
    return read(option("data", name, path=None if path is None else str(path), **changes), **(task or {}))


# What GLUE's own files look like, one train row a class.
FILES = {
    "cola": {"train": "a\t0\t*\tBad it.\na\t1\t\tGood.\n", "dev": "a\t1\t\tDev.", "test": "index\tsentence\n0\tT.\n"},
    "sst2": {"train": "sentence\tlabel\nbad \t0\ngood \t1\n", "dev": "sentence\tlabel\ndev\t1\n"},
    "mrpc": {
        "train": '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n0\t1\t2\tHe said " no\tb\r\n1\t1\t2\t" c\td\r\n',
        "dev": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\ta\tb\n",
        "test": "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\ta\tb\n",
    },
    "stsb": {
        "train": "index\tsentence1\tsentence2\tscore\n0\ta\tb\t4.250\n",
        "dev": "sentence1\tsentence2\tscore\na\tb\t0\n",
    },
    "qqp": {
        "train": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\ta\tb\t0\n1\tcut\n2\t1\t2\tc\td\t1\n",
        "dev": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\ta\tb\t0\n",
    },
    "mnli": {
        "train": "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\ta\tb\tx\tneutral\n1\ta\tb\tx\tcontradiction\n",
        "dev_matched": "sentence1\tsentence2\tgold_label\na\tb\tentailment\n",
        "dev_mismatched": "sentence1\tsentence2\tgold_label\nc\td\tneutral\ne\tf\tneutral\n",
        "test_matched": "sentence1\tsentence2\na\tb\n",
    },
    "qnli": {
        "train": "index\tquestion\tsentence\tlabel\n0\tq\ts\tnot_entailment\n",
        "dev": "question\tsentence\tlabel\nq\ts\tentailment\n",
    },
    "rte": {
        "train": "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n",
        "dev": "sentence1\tsentence2\tlabel\na\tb\tentailment\n",
    },
    "wnli": {
        "train": "index\tsentence1\tsentence2\tlabel\n0\ta\tb\t1\n",
        "dev": "sentence1\tsentence2\tlabel\na\tb\t0\n",
    },
}


def write(folder: Path, task: str, **changes: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (FILES[task] | changes).items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.tsv").write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("task", "labels", "evals"),
    [
        ("cola", [0, 1], {"": [1]}),
        ("sst2", [0, 1], {"": [1]}),
        ("mrpc", [0, 1], {"": [1]}),
        ("stsb", [4.25], {"": [0.0]}),
        ("qqp", [0, 1], {"": [0]}),
        ("mnli", [1, 2], {"": [0], "mm": [1, 1]}),
        ("qnli", [1], {"": [0]}),
        ("rte", [1], {"": [0]}),
        ("wnli", [1], {"": [0]}),
    ],
)
def test_every_task_in_glues_own_layout(tmp_path: Path, task: str, labels: list, evals: dict) -> None:
    data = get(task, write(tmp_path, task))
    assert data.train.targets == labels
    assert {suffix: split.targets for suffix, split in data.evals.items()} == evals
    assert data.labels == TASKS[task].names and data.metrics == METRICS[task] and data.max_length == 128
    assert tuple(data.train.inputs) == TASKS[task].columns
    for split in data.tests.values():
        assert split.targets is None
    assert set(data.tests) == ({""} if any(name.startswith("test") for name in FILES[task]) else set())


def test_quotes_marks_and_line_ends_are_text(tmp_path: Path) -> None:
    train = get("mrpc", write(tmp_path, "mrpc")).train
    assert train.inputs == {"sentence1": ['He said " no', '" c'], "sentence2": ["b", "d"]}
    assert (train.ids, train.targets) == ([0, 1], [0, 1])
    odd = "sentence\tlabel\none\u2028two\x85three\t0\n"
    assert (
        get("sst2", write(tmp_path / "odd", "sst2", train=odd)).train.inputs["sentence"][0] == "one\u2028two\x85three"
    )


def test_qqp_leaves_out_cut_rows_and_says_so(tmp_path: Path, caplog) -> None:
    assert len(get("qqp", write(tmp_path, "qqp")).train) == 2
    assert "left out 1 rows" in caplog.text and "line 3" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": "sentence\tlabel\ngood\t1\nbad\n"}, r"train.tsv, line 3: 1 fields, expected 2"),
        ({"dev": "sentence\tlabel\ngood\t1\tmore\n"}, r"dev.tsv, line 2: 3 fields, expected 2"),
        ({"train": b"sentence\tlabel\ngood\t1\ncaf\xe9\t1\n"}, r"train.tsv, line 3: byte 0xe9 is not UTF-8"),
        ({"train": ""}, r"train.tsv is empty"),
        ({"train": "sentence\tlabel\n"}, r"train.tsv has no rows"),
        ({"train": "sentense\tlabel\na\t1\n"}, r"no column 'sentence'; did you mean 'sentense'"),
        ({"dev": "sentence\na\n"}, r"dev.tsv has no column 'label'"),
        ({"train": "sentence\tlabel\na\t2\n"}, r"train.tsv, line 2: label '2'"),
    ],
)
def test_broken_files_are_named_with_their_line(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ExpError, match=message):
        get("sst2", write(tmp_path, "sst2", **changes))


def test_missing_files_are_found_before_any_row_is_read(tmp_path: Path) -> None:
    write(tmp_path, "mnli")
    (tmp_path / "dev_mismatched.tsv").unlink()
    (tmp_path / "train.tsv").write_bytes(b"\xff")
    with pytest.raises(ExpError, match=r"dev_mismatched\.tsv"):
        option("data", "mnli", path=str(tmp_path))
    with pytest.raises(ExpError, match="no such folder"):
        option("data", "mnli", path=str(tmp_path / "nowhere"))
    with pytest.raises(ExpError, match=r"data\.task=mrpk: no GLUE task; did you mean 'mrpc'"):
        option("data", "mrpc", task="mrpk")


def test_the_hub_offline_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    with pytest.raises(ExpError, match=r"HF_HUB_OFFLINE.*work offline.*data.path"):
        get("rte", None)


def to_parquet(file: Path, columns: dict) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), file)


def test_a_copy_of_the_hubs_parquet_files(tmp_path: Path, glue: Path) -> None:
    own = get("mrpc", glue)
    folder = tmp_path / "mrpc"
    folder.mkdir()

    def copy(name: str, split, start: int = 0, end: int | None = None) -> None:
        columns = {**split.inputs, "label": split.targets, "idx": split.ids}
        to_parquet(folder / f"{name}.parquet", {key: cells[start:end] for key, cells in columns.items()})

    half = len(own.train) // 2
    copy("train-00000-of-00002", own.train, 0, half)
    copy("train-00001-of-00002", own.train, half)
    copy("validation-00000-of-00001", own.evals[""])
    copy("test-00000-of-00001", own.tests[""])
    for path in (tmp_path, folder):
        copied = get("mrpc", path)
        assert copied.fingerprint == own.fingerprint and copied.train == own.train
    (folder / "validation-00000-of-00001.parquet").unlink()
    with pytest.raises(ExpError, match="validation-"):
        get("mrpc", tmp_path)


def test_minus_one_on_the_hub_means_unlabelled(tmp_path: Path) -> None:
    rows = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "idx": [7, 9]}
    for split, labels in {"train": [0, 1], "validation": [1, 1], "test": [-1, -1]}.items():
        to_parquet(tmp_path / f"{split}-00000-of-00001.parquet", rows | {"label": labels})
    data = get("rte", tmp_path)
    assert data.tests[""].targets is None
    assert (data.train.ids, data.train.targets) == ([7, 9], [0, 1])


@pytest.mark.parametrize(
    ("task", "rows", "labelled_test"),
    [("mrpc", (3668, 408, 1725), True), ("cola", (8551, 1043, 1063), False), ("stsb", (5749, 1500, 1379), False)],
)
def test_real_files(glue: Path, task: str, rows: tuple, labelled_test: bool) -> None:
    data = get(task, glue)
    assert (len(data.train), len(data.evals[""]), len(data.tests[""])) == rows
    assert (data.tests[""].targets is not None) == labelled_test
    assert get(task, glue / TASKS[task].folder).fingerprint == data.fingerprint
    # The strict reader of the standard library, quoting off, sees the same rows.
    import csv

    with (glue / TASKS[task].folder / "train.tsv").open(encoding="utf-8-sig", newline="") as file:
        assert sum(1 for _ in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)) == rows[0] + (task != "cola")


def test_samples_are_nested_and_keep_the_order(glue: Path) -> None:
    full = get("mrpc", glue)
    small = get("mrpc", glue, max_train_samples=100, max_eval_samples=50)
    large = get("mrpc", glue, max_train_samples=200)
    assert len(small.train) == 100 and len(small.evals[""]) == 50 and len(small.tests[""]) == 50
    assert small.train.ids == sorted(small.train.ids)
    assert set(small.train.ids) < set(large.train.ids)
    assert set(small.train.targets) == {0, 1}
    assert len({data.fingerprint for data in (full, small, large)}) == 3


def test_both_orders_doubles_training_only(glue: Path) -> None:
    once = get("mrpc", glue, max_train_samples=10)
    twice = get("mrpc", glue, {"both_orders": True}, max_train_samples=10)
    assert len(twice.train) == 20 and len(twice.evals[""]) == len(once.evals[""])
    assert twice.train.inputs["sentence1"][10:] == once.train.inputs["sentence2"]
    assert twice.train.targets == once.train.targets * 2 and twice.train.ids == once.train.ids * 2
    assert twice.fingerprint != once.fingerprint
    with pytest.raises(ExpError, match="both_orders"):
        get("cola", glue, {"both_orders": True})
