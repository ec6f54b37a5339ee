from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from omegaconf import OmegaConf
from tests.analysis.synthetic import grid, write

from exp.analysis import report
from exp.analysis.collect import collect
from exp.analysis.grouping import compare, distinguishing_keys, independent_keys
from exp.analysis.importance import importance
from exp.analysis.report.confusion import confusion
from exp.analysis.report.examples import wrong_answers
from exp.analysis.report.page import page
from exp.analysis.report.payload import payload
from exp.analysis.report.series import LONGEST, thinned
from exp.analysis.table import short_keys
from exp.curves.curve import Series
from exp.curves.verdict import Thresholds
from exp.errors import ExpError
from exp.options.confdir import conf_dir

EVIL = "<script>alert(1)</script>"


def comparison(*folders):
    return compare(collect([str(folder) for folder in folders]), sources=[str(folder) for folder in folders])


def data_of(html: str):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1])


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def test_a_page_holds_everything_and_loads_nothing(tmp_path):
    report.write(comparison(grid(tmp_path / "runs")), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(html)
    loaded = [
        (tag, attrs) for tag, attrs in tags.seen if "src" in attrs or (tag == "link" and attrs["href"] != "data:,")
    ]
    assert loaded == []
    assert [attrs.get("type") for tag, attrs in tags.seen if tag == "script"] == [
        "application/json",
        "text/plain",
        None,
        None,
    ]
    policy = next(attrs["content"] for tag, attrs in tags.seen if attrs.get("http-equiv"))
    assert "default-src 'none'" in policy and "'unsafe-inline' " not in policy.partition("style-src")[0]
    [task] = data_of(html)["tasks"]
    assert [len(condition["runs"]) for condition in task["conditions"]] == [3, 3]
    assert task["conditions"][0]["label"] == "lr=1e-4"  # the better one
    assert task["runs"][0]["config"]["optimizer.lr"] == 1e-4 and task["common"]["num_train_epochs"] == 3


def test_two_runs_stand_side_by_side_with_their_scores_by_class(tmp_path):
    scores = {"eval": {"no": 0.91234567, "yes": 0.5}}
    write(tmp_path / "runs" / "a", facts={"by_class": scores})
    write(tmp_path / "runs" / "b", seed=2)
    [task] = payload(comparison(tmp_path / "runs"), Thresholds())["tasks"]
    told = {run["name"]: run["facts"] for run in task["runs"]}
    assert (told["a"]["F1 of no, eval"], told["a"]["F1 of yes, eval"]) == (0.91235, 0.5)
    assert not any(name.startswith("F1") for name in told["b"])


def test_what_a_run_says_stays_text(tmp_path):
    write(tmp_path / "runs" / "<script>alert(1)<" / "script>", optimizer__note=f"{EVIL}<!--", seed=2)
    write(tmp_path / "runs" / "other", seed=1)
    report.write(comparison(tmp_path / "runs"), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert EVIL not in html and "alert(1)" in html
    names = {run["name"] for run in data_of(html)["tasks"][0]["runs"]}
    assert names == {EVIL, "other"}
    assert "<title>&lt;b&gt;</title>" in page("<b>", "")
    assert "\udcff" not in page("\udcff", "")


def test_numbers_that_json_lacks_become_null(tmp_path):
    write(tmp_path / "runs" / "a", accuracy=(0.5, float("nan"), float("nan")))
    report.write(comparison(tmp_path / "runs"), tmp_path / "report.html")
    [run] = data_of((tmp_path / "report.html").read_text(encoding="utf-8"))["tasks"][0]["runs"]
    assert run["series"]["eval/accuracy"]["values"] == [0.5]


def test_runs_without_curves_and_of_two_tasks(tmp_path):
    write(tmp_path / "runs" / "a", accuracy=(), status="failed", reason="out of memory")
    write(tmp_path / "runs" / "b", data__name="cola")
    found = payload(comparison(tmp_path / "runs"), Thresholds())
    assert [task["name"] for task in found["tasks"]] == ["cola", "mrpc"]
    assert found["tasks"][1]["runs"][0]["series"] == {}
    assert found["tasks"][1]["runs"][0]["verdict"]["state"] == "insufficient"


def test_long_curves_are_thinned_to_means_that_keep_the_end():
    thin = thinned(Series(tuple(range(1, 1001)), tuple(float(step) for step in range(1, 1001))))
    assert len(thin) == LONGEST and thin.steps[-1] == 1000 and thin.steps[0] == 5
    assert thin.values[0] == 3.0  # of 1 to 5
    short = Series((1, 2), (0.5, 0.4))
    assert thinned(short) == short


def test_importance_is_told_of_runs_that_differ_in_several_keys(tmp_path):
    """As Optuna tells it of a study: the rate decides, the decay does nothing."""
    noise = iter(range(100))
    for rate in (1e-5, 3e-5, 1e-4, 3e-4):
        for decay in (0.0, 0.01, 0.1):
            best = 0.7 + {1e-5: 0, 3e-5: 0.05, 1e-4: 0.1, 3e-4: 0.02}[rate] + (next(noise) * 7 % 5) / 1000
            write(
                tmp_path / "all" / f"{rate}-{decay}",
                accuracy=(best,),
                optimizer__lr=rate,
                optimizer__weight_decay=decay,
            )
    [task] = comparison(tmp_path / "all").tasks
    found = importance(task)
    assert list(found.shares) == ["optimizer.lr", "optimizer.weight_decay"]
    assert found.shares["optimizer.lr"] > 0.9 and sum(found.shares.values()) == pytest.approx(1, abs=0.01)
    assert "PED-ANOVA" in found.note and "12 completed runs" in found.note
    told = payload(comparison(tmp_path / "all"), Thresholds())["tasks"][0]
    assert [title for title, _ in told["importance"]["shares"]] == ["lr", "weight_decay"]
    assert {"key": "optimizer.lr", "title": "lr"} in told["groupKeys"]


def test_importance_is_not_told_of_few_conditions_or_of_one_key(tmp_path):
    for rate, decay in ((1e-5, 0.0), (3e-5, 0.1), (1e-5, 0.1)):
        write(tmp_path / "few" / f"{rate}-{decay}", optimizer__lr=rate, optimizer__weight_decay=decay)
    [task] = comparison(tmp_path / "few").tasks
    assert importance(task).shares == {} and "here 3 conditions" in importance(task).note
    [task] = comparison(grid(tmp_path / "one")).tasks
    assert importance(task) is None


def test_short_names_stay_apart():
    titles = short_keys(["optimizer.lr", "head.lr", "optimizer._target_", "seed"])
    expected = {"optimizer.lr": "optimizer.lr", "head.lr": "head.lr", "optimizer._target_": "optimizer", "seed": "seed"}
    assert titles == expected


def test_labels_name_as_few_options_as_tell_conditions_apart():
    conditions = [{"opt": o, "betas": f"b{o}", "lr": lr} for o in "ab" for lr in (1, 2, 3)]
    assert distinguishing_keys(["opt", "betas", "lr"], conditions) == ["opt", "lr"]
    assert distinguishing_keys(["opt"], conditions[:1]) == []


def test_confusion_counts_rows_of_labels(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    run = write(tmp_path / "runs" / "a")
    run.predictions.mkdir()
    pairs = {"label": ["no", "no", "yes", None], "prediction": ["no", "yes", "yes", "no"]}
    parquet.write_table(pa.table(pairs), run.predictions / "eval.parquet")
    (run.predictions / "broken.parquet").write_text("half")
    [found] = collect([str(tmp_path / "runs")]).runs
    assert confusion(found) == {"eval": {"names": ["no", "yes"], "counts": [[1, 1], [0, 1]]}}


def test_scores_have_no_confusion(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    run = write(tmp_path / "runs" / "a", facts={"label_names": None, "metrics": ["pearson"]})
    run.predictions.mkdir()
    parquet.write_table(pa.table({"label": [0.5], "prediction": [0.7]}), run.predictions / "eval.parquet")
    [found] = collect([str(tmp_path / "runs")]).runs
    assert confusion(found) == {}


def test_confusion_of_tags_counts_words(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    task = OmegaConf.to_container(OmegaConf.load(conf_dir() / "task" / "token_classification.yaml"))
    facts = {"label_names": ["O", "B-x", "I-x"], "metrics": ["entity_f1"], "inputs": ["tokens"]}
    run = write(tmp_path / "runs" / "a", task=task, facts=facts)
    run.predictions.mkdir()
    words = {"label": [["O", "B-x"], ["O"], None], "prediction": [["O", "O"], ["O"], ["B-x"]]}
    parquet.write_table(pa.table(words), run.predictions / "eval.parquet")
    [found] = collect([str(tmp_path / "runs")]).runs
    assert confusion(found) == {"eval": {"names": ["O", "B-x", "I-x"], "counts": [[2, 0, 0], [1, 0, 0], [0, 0, 0]]}}


def test_wrong_answers_are_texts_that_fit_and_media_inside(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    run = write(tmp_path / "runs" / "a")
    run.errors.mkdir()
    rows = {
        "id": ["7", "8"],
        "item_score": [0.0, 0.123456],
        "label": [["a cat", "a cat"], ["x", "y"]],
        "prediction": [EVIL, None],
        "scores": [[0.1, 0.9], [0.5, 0.5]],
        "image": ["7.png", "8.png"],
    }
    parquet.write_table(pa.table(rows), run.errors / "eval.parquet")
    (run.errors / "broken.parquet").write_text("half")
    (run.errors / "eval").mkdir()
    (run.errors / "eval" / "00.png").write_bytes(b"pixels")
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    (run.errors / "eval" / "01.png").symlink_to(secret)
    [found] = collect([str(tmp_path / "runs")]).runs
    assert wrong_answers(found) == {
        "eval": {
            "columns": ["id", "item score", "label", "prediction"],
            "rows": [["7", "0", "a cat", EVIL], ["8", "0.1235", "x y", ""]],
            "media": ["data:image/png;base64,cGl4ZWxz", None],
        }
    }
    [task] = payload(comparison(tmp_path / "runs"), Thresholds())["tasks"]
    assert task["runs"][0]["wrong"] == wrong_answers(found)
    report.write(comparison(tmp_path / "runs"), tmp_path / "report.html")
    assert EVIL not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_long_text_is_cut_and_many_wrong_answers_too(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    run = write(tmp_path / "runs" / "a")
    run.errors.mkdir()
    parquet.write_table(pa.table({"id": list(range(20)), "text": ["word " * 200] * 20}), run.errors / "eval.parquet")
    [found] = collect([str(tmp_path / "runs")]).runs
    rows = wrong_answers(found)["eval"]["rows"]
    assert [row[0] for row in rows] == [str(row) for row in range(8)]
    assert len(rows[0][1]) == 240 and rows[0][1].endswith("…")


def test_without_plotly_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(ExpError, match=r"exp\[report\]"):
        report.write(comparison(grid(tmp_path / "runs")), tmp_path / "report.html")


def test_the_command_writes_it(tmp_path):
    root, page_file = grid(tmp_path / "runs"), tmp_path / "report.html"
    words = [sys.executable, "-m", "exp.compare", str(root), "--html", str(page_file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"wrote {page_file}" in done.stdout and page_file.stat().st_size > 1_000_000


def test_options_that_change_together_are_one_and_drawn_numbers_are_not():
    drawn = [(1.1e-5, 0.1), (2.2e-5, 0.15), (3.3e-5, 0.02), (4.4e-5, 0.07)]
    conditions = [
        {"lr": lr, "warmup": warmup, "optimizer": name, "betas": betas}
        for (lr, warmup), (name, betas) in zip(drawn, [("adamw", [0.9]), ("sgd", None)] * 2, strict=True)
    ]
    assert independent_keys(["lr", "warmup", "optimizer", "betas"], conditions) == ["lr", "warmup", "optimizer"]
    assert independent_keys(["lr", "warmup"], conditions[:2]) == ["lr"]
