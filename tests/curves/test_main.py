"""python -m exp.curves on folders written through exp.run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from exp.curves.__main__ import main
from exp.curves.curve import Facts, facts_of
from exp.curves.summary import draw_and_judge
from exp.curves.verdict import Thresholds
from exp.run.events import EventLog
from exp.run.folder import create

CHANCE = {"chance": {"loss": 0.6931, "metrics": {"accuracy": [0.684, 0.023]}}}
FIRST_VERSION = {"majority_share": 0.684}  # classes were counted by their names


def write_run(folder, seed=1, name="mrpc", guessing=CHANCE):
    folder.mkdir(parents=True)
    run = create(folder, {"seed": seed, "optimizer": {"lr": 5e-5}, "data": {"name": name}})
    run.update(
        data={
            "name": name,
            "label_names": ["no", "yes"],
            **guessing,
            "eval_examples": {"": 408},
            "objective": "eval/accuracy",
        }
    )
    log = EventLog(run.metrics_path)
    evaluations = {100: (0.381, 0.8456), 200: (0.458, 0.8529), 300: (0.666, 0.8578)}  # the course's
    for step in range(10, 310, 10):
        rate = 5e-5 * (1 - step / 300)
        log.append({"train/loss": 0.69 - step / 600, "train/lr": rate}, step=step, epoch=step / 100)
        if step in evaluations:
            loss, accuracy = evaluations[step]
            log.append({"eval/loss": loss, "eval/accuracy": accuracy}, step=step, epoch=step / 100)
    log.close()
    run.finish("completed")
    return run


def png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


@pytest.mark.parametrize("guessing", [CHANCE, FIRST_VERSION], ids=["chance", "first version"])
def test_a_run_is_judged_and_drawn(tmp_path, capsys, guessing):
    run = write_run(tmp_path / "a$b_{x}", guessing=guessing)  # a dollar sign must not start a formula
    assert main([str(run.folder)]) == 0
    out = capsys.readouterr().out
    assert "verdict: overfitting" in out and "[completed]" in out
    assert png_size(run.folder / "curves.png")[0] == 1500


def test_a_sweep_folder_means_all_its_runs_and_a_bad_one_hides_none(tmp_path, capsys):
    for seed in (1, 2):
        write_run(tmp_path / "sweep" / str(seed), seed)
    (tmp_path / "sweep" / "3").mkdir()
    (tmp_path / "sweep" / "3" / "run.json").write_text('{"schema": 1, "id": "x')
    out = tmp_path / "pictures"
    assert main([str(tmp_path / "sweep"), "--out", str(out), "--json"]) == 2
    captured = capsys.readouterr()
    told = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["state"] for line in told] == ["overfitting"] * 2
    assert "no readable JSON" in captured.err
    assert len(list(out.glob("*.png"))) == 2


def test_finish_returns_the_verdict_and_survives_a_read_only_picture(tmp_path):
    run = write_run(tmp_path / "r")
    (run.folder / "curves.png").mkdir()  # cannot be written
    assert draw_and_judge(run.folder, Thresholds()).startswith("verdict: overfitting")


def test_an_empty_run_draws_without_error(tmp_path):
    (tmp_path / "e").mkdir()
    create(tmp_path / "e", {"seed": 1})
    assert main([str(tmp_path / "e")]) == 0
    assert (tmp_path / "e" / "curves.png").exists()


def test_the_record_says_what_guessing_gives():
    data = {
        "metrics": ["entity_f1", "accuracy"],
        "objective": "eval/entity_f1",
        "eval_examples": {"": 100, "mm": 7},
        "chance": {"loss": 2.5, "metrics": {"entity_f1": [0.0, 0.05]}},
        "greater_is_better": True,
    }
    assert facts_of({"data": data}) == Facts(
        "entity_f1", 2.5, {"entity_f1": (0.0, 0.05)}, 100, {"eval/entity_f1": True}, chance_train_loss=2.5
    )
    told = facts_of({"data": {**data, "chance_train_loss": 0.6}})
    assert (told.chance_loss, told.chance_train_loss) == (2.5, 0.6)


def test_a_record_of_the_first_version_has_label_shares():
    data = {"metrics": ["accuracy"], "label_names": ["a", "b"], "majority_share": 0.75, "eval_examples": {"": 101}}
    facts = facts_of({"data": data})
    assert facts.chance_loss == pytest.approx(0.6931, abs=1e-4) and facts.eval_examples == 101
    assert facts.floors["accuracy"] == (0.75, pytest.approx(0.0431, abs=1e-4))  # sqrt(0.75 * 0.25 / 101)
    assert facts.floors["matthews_correlation"] == (0.0, 0.1)  # 1 / sqrt(100)


def test_label_shares_come_from_the_predictions_where_such_a_record_lacks_them(tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    (tmp_path / "predictions").mkdir()
    parquet.write_table(
        arrow.table({"id": [0, 1, 2, 3], "label": [1, 1, 1, 0]}), tmp_path / "predictions" / "eval.parquet"
    )
    facts = facts_of({}, tmp_path)
    assert facts.floors["accuracy"][0] == 0.75 and facts.eval_examples == 4
    assert facts.chance_loss == pytest.approx(0.6931, abs=1e-4)


def test_the_entry_imports_no_training_library(tmp_path):
    heavy = ("torch", "transformers", "datasets", "pyarrow")
    code = f"import sys, exp.curves.__main__; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
