"""exp.table as a user calls it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from exp import table
from exp.errors import ExpError

QUICK = (
    "overrides=[data.max_train_samples=64,data.max_eval_samples=64,num_train_epochs=1,per_device_train_batch_size=16]"
)


def test_words():
    options, added = table.read(
        [
            "table=hf_glue",
            "jobs=2",
            "cells=[a/*,b/c]",
            "overrides=[optimizer.betas=[0.9,0.98],x=1]",
            "overrides.RTE=[y=2]",
        ]
    )
    assert (options["jobs"], options["cells"], options["dry_run"]) == (2, ["a/*", "b/c"], False)
    assert added == {"": ["optimizer.betas=[0.9,0.98]", "x=1"], "RTE": ["y=2"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table=hf_glue", "job=2"], "job: no such key; did you mean 'jobs'"),
        (["table=hf_glue", "jobs=two"], "jobs=two: it takes a whole number from 0 to 100000"),
        (["table=hf_glue", "jobs=-1"], "jobs=-1: it takes a whole number from 0 to 100000"),
        (["table=hf_glue", "dry_run=1"], "dry_run=1: it takes true or false"),
        (["jobs=2"], "TABLE is not given"),
        (["table=offline_demo", "hydra.sweeper.n_trials=3"], "of a sweep's keys a table takes storage"),
        (["table=offline_demo", "hydra.sweeper.processes_per_trial=x"], "processes_per_trial=x: it takes a whole num"),
        (
            ["table=offline_demo", "overrides=[distributed.processes=2]"],
            "processes=2, and hydra.sweeper.processes_per_tr",
        ),
        (
            ["table=offline_demo", "overrides=[distributed.processes=4]", "hydra.sweeper.processes_per_trial=2"],
            "processes=4, and hydra.sweeper.processes_per_trial=2 starts",
        ),
        (["table=offline_demo", "hydra.sweeper.processes_per_trial=0"], "processes_per_trial=0: it takes a whole num"),
        (["table=offline_demo", "hydra/launcher=slrum_gpu"], "slrum_gpu"),
        (["table=hf_glue", "repo_id=me/mine"], "repo_id=me/mine pushes what publish=FOLDER writes"),
        (["table=hf_glue", "publish=hub", "repo_id=mine"], "names no owner"),
        (["table=hf_gleu"], "there is no such table; did you mean 'hf_glue'"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(ExpError, match=message):
        options, added = table.read(words)
        table.make(options, added)


def test_a_table_of_several_processes_says_how_each_run_is_started(capsys, tmp_path):
    words = ["table=offline_demo", "dry_run=true", f"folder={tmp_path}", f"sources=[{tmp_path}]"]
    assert table.make(*table.read([*words, "seeds=[3]", "hydra.sweeper.processes_per_trial=2"])) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "seed=3" in line]
    assert len(lines) == 2
    for line in lines:
        assert "torchrun --nproc-per-node 2 -m exp.train data=reviews" in line and " distributed.processes=2 " in line


def test_help_lists_the_tables(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["exp.table"])
    assert table.main() == 0
    told = capsys.readouterr().out
    assert "offline_demo" in told and "Two optimizers on generated reviews" in told


def test_a_dry_run_runs_nothing(entry, tmp_path):
    done = entry("table", "table=offline_demo", "dry_run=true", "cells=[AdamW/*]")
    assert done.returncode == 0, done.stderr
    assert "table offline_demo: 1 cell, 3 runs: 3 missing; 3 runs of unknown cost" in done.stdout
    assert done.stdout.count("python -m exp.train data=reviews") == 3
    assert not list(tmp_path.rglob("run.json"))


def test_what_a_run_would_refuse_is_refused_before_the_first(entry, tmp_path):
    done = entry("table", "table=offline_demo", "overrides.SGD=[max_grad_norm=-1]")
    assert done.returncode == 2
    assert done.stderr.strip() == "exp: cell SGD/Reviews: max_grad_norm=-1 must be 0 or more"
    assert not list(tmp_path.rglob("run.json"))


def test_planning_and_rendering_import_no_torch(tmp_path, monkeypatch):
    import subprocess

    code = (
        "import sys; sys.argv = ['exp.table', 'table=hf_glue', 'render_only=true'];"
        "from exp.table import main; main();"
        "sys.exit(', '.join({'torch', 'transformers', 'datasets'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_from_nothing_to_a_table_and_again(entry, tmp_path):
    done = entry("table", "table=offline_demo", "cells=[AdamW/*]", "seeds=[1,2]", QUICK, EXP_FORKS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AdamW/Reviews seed=2: completed" in done.stdout
    folder = tmp_path / "multirun/tables/offline_demo"
    runs = sorted(folder.glob("runs/*/run.json"))
    assert len(runs) == 2
    record = json.loads(runs[0].read_text())
    assert record["status"] == "completed" and record["condition"] in runs[0].parent.name
    for form in ("md", "tex", "csv", "html"):
        assert "AdamW" in (folder / f"table.{form}").read_text()
    # A run made by hand counts as well, wherever it lies.
    words = ["data=reviews", "model=bert_tiny", "tracker=none", "optimizer=adamw", "optimizer.lr=3e-4", "seed=3"]
    words.append("scheduler.warmup_ratio=0.1")
    by_hand = entry("train", *words, *QUICK.partition("[")[2].rstrip("]").split(","))
    assert by_hand.returncode == 0, by_hand.stderr
    again = entry("table", "table=offline_demo", "cells=[AdamW/*]", QUICK, EXP_FORKS="1")
    assert "3 runs: 3 found" in again.stdout
    assert len(list(folder.glob("runs/*/run.json"))) == 2
    assert "not enough seeds" in again.stdout or "lower" in again.stdout


def test_tables_ship_with_the_package():
    from exp.options.confdir import conf_dir

    assert (Path(conf_dir()) / "table" / "offline_demo.yaml").exists()
