from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from exp.data.glue import METRICS, TASKS, check
from exp.data.glue import glue as load
from exp.errors import ExpError

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"


def get(task: str, path: Path | None, **changes):
    options = {"max_length": 128, "max_train_samples": None, "max_eval_samples": None, "both_orders": False}
    return load(task, None if path is None else str(path), METRICS[task], **(options | changes))


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
    raw = get(task, write(tmp_path, task))
    assert list(raw.train["label"]) == labels
    assert {suffix: list(split["label"]) for suffix, split in raw.evals.items()} == evals
    assert raw.label_names == TASKS[task].names
    assert set(raw.text_columns) < set(raw.train.column_names)
    for split in raw.tests.values():
        assert "label" not in split.column_names
    assert set(raw.tests) == ({""} if any(name.startswith("test") for name in FILES[task]) else set())


def test_quotes_marks_and_line_ends_are_text(tmp_path: Path) -> None:
    raw = get("mrpc", write(tmp_path, "mrpc"))
    assert raw.train[0] == {"sentence1": 'He said " no', "sentence2": "b", "idx": 0, "label": 0}
    assert raw.train[1]["sentence1"] == '" c'
    odd = "sentence\tlabel\none\u2028two\x85three\t0\n"
    assert get("sst2", write(tmp_path / "odd", "sst2", train=odd)).train["sentence"][0] == "one\u2028two\x85three"


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
    options = (METRICS["mnli"], 128, None, None, False)
    with pytest.raises(ExpError, match=r"dev_mismatched\.tsv"):
        check("mnli", str(tmp_path), *options)
    with pytest.raises(ExpError, match="no such folder"):
        check("mnli", str(tmp_path / "nowhere"), *options)


def test_the_hub_offline_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    with pytest.raises(ExpError, match=r"HF_HUB_OFFLINE.*work offline.*data.path"):
        get("rte", None)


def test_a_copy_of_the_hubs_parquet_files(tmp_path: Path, glue: Path) -> None:
    own = get("mrpc", glue)
    folder = tmp_path / "mrpc"
    folder.mkdir()
    half = len(own.train) // 2
    own.train.select(range(half)).to_parquet(folder / "train-00000-of-00002.parquet")
    own.train.select(range(half, len(own.train))).to_parquet(folder / "train-00001-of-00002.parquet")
    own.evals[""].to_parquet(folder / "validation-00000-of-00001.parquet")
    own.tests[""].to_parquet(folder / "test-00000-of-00001.parquet")
    for path in (tmp_path, folder):
        copy = get("mrpc", path)
        assert copy.fingerprint == own.fingerprint and copy.train[:] == own.train[:]
    (folder / "validation-00000-of-00001.parquet").unlink()
    with pytest.raises(ExpError, match="validation-"):
        get("mrpc", tmp_path)


def test_minus_one_on_the_hub_means_unlabelled(tmp_path: Path) -> None:
    from datasets import Dataset

    rows = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "idx": [7, 9]}
    Dataset.from_dict(rows | {"label": [0, 1]}).to_parquet(tmp_path / "train-00000-of-00001.parquet")
    Dataset.from_dict(rows | {"label": [1, 1]}).to_parquet(tmp_path / "validation-00000-of-00001.parquet")
    Dataset.from_dict(rows | {"label": [-1, -1]}).to_parquet(tmp_path / "test-00000-of-00001.parquet")
    raw = get("rte", tmp_path)
    assert "label" not in raw.tests[""].column_names
    assert list(raw.train["idx"]) == [7, 9]


@pytest.mark.parametrize(
    ("task", "rows", "labelled_test"),
    [("mrpc", (3668, 408, 1725), True), ("cola", (8551, 1043, 1063), False), ("stsb", (5749, 1500, 1379), False)],
)
def test_real_files(glue: Path, task: str, rows: tuple, labelled_test: bool) -> None:
    raw = get(task, glue)
    assert (len(raw.train), len(raw.evals[""]), len(raw.tests[""])) == rows
    assert ("label" in raw.tests[""].column_names) == labelled_test
    assert get(task, glue / TASKS[task].folder).fingerprint == raw.fingerprint
    # The strict reader of the standard library, quoting off, sees the same rows.
    import csv

    with (glue / TASKS[task].folder / "train.tsv").open(encoding="utf-8-sig", newline="") as file:
        assert sum(1 for _ in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)) == rows[0] + (task != "cola")


def test_samples_are_nested_and_keep_the_order(glue: Path) -> None:
    full = get("mrpc", glue)
    small = get("mrpc", glue, max_train_samples=100, max_eval_samples=50)
    large = get("mrpc", glue, max_train_samples=200)
    assert len(small.train) == 100 and len(small.evals[""]) == 50 and len(small.tests[""]) == 50
    assert list(small.train["idx"]) == sorted(small.train["idx"])
    assert set(small.train["idx"]) < set(large.train["idx"])
    assert set(small.train["label"]) == {0, 1}
    assert len({raw.fingerprint for raw in (full, small, large)}) == 3


def test_both_orders_doubles_training_only(glue: Path) -> None:
    once, twice = get("mrpc", glue, max_train_samples=10), get("mrpc", glue, max_train_samples=10, both_orders=True)
    assert len(twice.train) == 20 and len(twice.evals[""]) == len(once.evals[""])
    assert list(twice.train["sentence1"])[10:] == list(once.train["sentence2"])
    assert list(twice.train["label"]) == list(once.train["label"]) * 2
    with pytest.raises(ExpError, match="both_orders"):
        get("cola", glue, both_orders=True)


@pytest.mark.parametrize("option", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_option_fits_its_target(option: str) -> None:
    from importlib import import_module

    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(CONF.parent)):
        node = OmegaConf.to_container(compose("train", overrides=[f"data={option}"]).data)
    target = node.pop("_target_")
    module, _, name = target.rpartition(".")
    function = getattr(import_module(module), name)
    bound = inspect.signature(function).bind(**node)
    assert all(parameter.default is parameter.empty for parameter in inspect.signature(function).parameters.values())
    checked = inspect.signature(import_module(module).check)
    assert list(checked.parameters) == list(bound.signature.parameters)
    if option in METRICS:
        assert node["metrics"] == METRICS[option] and node["task"] == option
    if option not in ("files", "hub"):  # those two need a path first
        import_module(module).check(**node)


def test_options_import_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, exp.data.glue, exp.data.files, exp.data.hub, exp.data.reviews, exp.metrics.names;"
        "print([m for m in ('torch', 'transformers', 'datasets', 'numpy', 'pyarrow', 'evaluate') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
