"""python -m exp.compare as a user meets it."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exp.compare import main

spec = importlib.util.spec_from_file_location("synthetic", Path(__file__).parent / "analysis" / "synthetic.py")
synthetic = importlib.util.module_from_spec(spec)
spec.loader.exec_module(synthetic)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EXP_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def grid(tmp_path):
    return synthetic.grid(tmp_path / "runs")


def told(capsys, *arguments):
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as ending:
        code = ending.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_seeds_are_averaged_and_only_what_differs_is_shown(grid, capsys):
    code, out, _ = told(capsys, grid)
    assert code == 0
    head = out.splitlines()[1]
    assert "optimizer.lr" in head and "weight_decay" not in head and "seed" not in head
    first, second = out.splitlines()[2:4]  # best first
    assert "1e-4" in first and "0.8400 ± 0.0100 @200" in first and "0.8152 to 0.8648" in first
    assert "5e-5" in second and "0.8200 ± 0.0100 @200" in second and "0.8100 ± 0.0100 @300" in second


def test_differences_to_a_baseline_by_seed(grid, capsys):
    _, out, _ = told(capsys, grid, "--baseline", "optimizer.lr=5e-5")
    first = out.splitlines()[2]
    assert "+0.0200 [+0.0200, +0.0200]  0.25    0.25" in first  # 2 / 2^3
    assert "n is too small: 3 pairs give no p below 0.25" in out and "takes 6 seeds" in out


def test_holm_is_over_all_conditions(tmp_path, capsys):
    root = synthetic.grid(tmp_path / "r", seeds=range(1, 8), rates=(5e-5, 1e-4, 2e-4))
    _, out, _ = told(capsys, root, "--baseline", "optimizer.lr=5e-5")
    assert "]  0.0156  0.0312 " in out.splitlines()[2]  # 2 / 2^7, and twice that
    assert "too small" not in out


def test_tasks_stay_apart_and_metric_sets_may_differ(grid, capsys):
    synthetic.write(grid / "cola", data__name="cola", metrics=("matthews_correlation",))
    _, out, _ = told(capsys, grid)
    assert "cola: 1 condition by eval/matthews_correlation" in out
    assert "mrpc: 2 conditions by eval/accuracy" in out


def test_failed_running_and_nan_are_shown_for_what_they_are(grid, capsys):
    synthetic.write(grid / "f", seed=4, status="failed", reason="out of memory\nmore", accuracy=(0.1,))
    synthetic.write(grid / "p", seed=5, status="running")
    synthetic.write(grid / "n", seed=6, accuracy=(math.nan, math.nan))
    _, out, _ = told(capsys, grid)
    line = next(line for line in out.splitlines() if " 5e-5 " in line)
    assert "4 completed, 1 failed, 1 running" in line
    assert "0.8200 ± 0.0100" in line  # neither the failed, nor the running, nor the NaN run is in the mean
    assert "seed 4 failed (out of memory)" in out
    assert "NaN in eval/accuracy" in out


def test_a_run_that_died_before_its_data_joins_its_condition(grid, capsys):
    run = synthetic.write(grid / "f", seed=4, status="failed", accuracy=())
    record = json.loads((run.folder / "run.json").read_text())
    del record["data"], record["config"]["data"]["name"]
    (run.folder / "run.json").write_text(json.dumps(record))
    for other in grid.rglob("run.json"):
        record = json.loads(other.read_text())
        record["config"]["data"].pop("name", None)
        other.write_text(json.dumps(record))
    _, out, _ = told(capsys, grid)
    assert out.count("conditions by") == 1 and "1 failed" in out


def test_one_seed_has_no_spread(tmp_path, capsys):
    synthetic.write(tmp_path / "r")
    _, out, _ = told(capsys, tmp_path)
    assert "0.8000 @200" in out and "±" not in out


def test_a_seed_that_ran_twice_is_told(grid, capsys):
    synthetic.write(grid / "again", seed=1)
    _, out, _ = told(capsys, grid)
    assert "seed 1 ran more than once" in out


def test_filter_sort_columns_precision(grid, capsys):
    _, out, _ = told(capsys, grid, "--where", "optimizer.lr<1e-4", "--precision", "2")
    assert "mrpc: 1 condition " in out and "0.82 ± 0.01 @200" in out
    _, out, _ = told(capsys, grid, "--sort", "optimizer.lr", "--columns", "optimizer.lr,n,accuracy,train_seconds")
    lines = out.splitlines()
    assert lines[1].split() == ["optimizer.lr", "n", "best", "eval/accuracy", "train_seconds"]
    assert [line.split()[0] for line in lines[2:4]] == ["5e-5", "1e-4"]
    assert lines[2].split()[-1] == "12"  # mean of 11, 12, 13 seconds
    _, out, _ = told(capsys, grid, "--columns", "condition,verdict")
    assert out.count("3 converged") == 2
    _, out, _ = told(capsys, grid, "--where", "loop=trainer", "--where", "seed!=3")
    assert "0.8150 ± 0.0071" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "optimiser.lr<1"], "did you mean 'optimizer.lr'"),
        (["--where", "optimizer.lr"], "cannot read the filter"),
        (["--where", "optimizer.lr<abc"], "no number"),
        (["--where", "optimizer.lr>1"], "none of 6 runs passes"),
        (["--metric", "acuracy"], "did you mean 'eval/accuracy'"),
        (["--baseline", "optimizer.lr=3"], "no condition is the baseline"),
        (["--baseline", "num_train_epochs=3"], "fits 2 conditions"),
        (["--sort", "nothing"], "cannot sort by"),
        (["--columns", "nothing"], "no column"),
        (["--md", "/nowhere/x.md"], "cannot write"),
    ],
)
def test_bad_input_is_one_line_and_code_2(grid, capsys, arguments, message):
    code, _, err = told(capsys, grid, *arguments)
    assert code == 2
    assert message in err and err.startswith("exp: ") and err.count("\n") == 1


def test_files(grid, tmp_path, capsys):
    synthetic.write(grid / "odd", seed=1, model__path_or_name="a|b_&%<i>")
    paths = {kind: tmp_path / f"out.{kind}" for kind in ("md", "csv", "json", "latex")}
    options = [word for kind, path in paths.items() for word in (f"--{kind}", path)]
    code, out, _ = told(capsys, grid, "--baseline", "optimizer.lr=5e-5,model.path_or_name=tiny", *options)
    assert code == 0 and out.count("wrote ") == 4

    rows = list(csv.DictReader(paths["csv"].open()))
    assert len(rows) == 3
    assert float(rows[0]["best eval/accuracy mean"]) == pytest.approx(0.84)
    assert rows[0]["n"] == "3" and rows[0]["difference p"] == "0.25"
    assert {row["model.path_or_name"] for row in rows} == {"tiny", "a|b_&%<i>"}

    plain = json.loads(paths["json"].read_text())
    [task] = plain["tasks"]
    assert task["metric"] == "eval/accuracy" and len(task["conditions"]) == 3
    assert len(task["conditions"][0]["runs"]) == 3
    assert task["conditions"][0]["runs"][0]["config"]["optimizer.lr"] == 1e-4

    markdown = paths["md"].read_text()
    assert "a\\|b_&%&lt;i>" in markdown and "**0.8400 ± 0.0100 @200**" in markdown
    latex = paths["latex"].read_text()
    assert r"\toprule" in latex and r"a\textbar{}b\_\&\%\textless{}i\textgreater{}" in latex


def test_a_narrow_terminal_leaves_columns_out_and_names_them(grid, capsys):
    options = ["--baseline", "optimizer.lr=5e-5", "--width"]
    _, out, _ = told(capsys, grid, *options, "120")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 120 and "…" not in out
    assert lines[1].split()[-3:] == ["p", "p", "Holm"] and "0.8400 ± 0.0100 @200" in lines[2]
    _, out, _ = told(capsys, grid, *options, "72")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 72 and "…" not in out and "1e-4" in lines[2]
    assert "0.8152 to 0.8648" in lines[2]  # narrow enough to stay where the difference is not
    told_of = " ".join(line.strip() for line in lines[4:])
    assert "not shown for want of room: Δ eval/accuracy, p, p Holm, last eval/accuracy" in told_of


def test_latex_is_short_enough_for_a_paper(grid, tmp_path, capsys):
    synthetic.write(grid / "x", seed=1, loop___target_="exp.loop.accelerate.AccelerateLoop", metrics=("accuracy", "f1"))
    told(capsys, grid, "--baseline", "optimizer.lr=5e-5,loop=trainer", "--latex", tmp_path / "t.tex")
    text = (tmp_path / "t.tex").read_text()
    head = next(line for line in text.splitlines() if line.startswith("lr &"))
    assert head == r"lr & loop & $n$ & accuracy & f1 & $\Delta$ accuracy & $p$ \\"
    assert r"$10^{-4}$ & trainer & 3 & \textbf{0.8400 $\pm$ 0.0100}" in text
    assert "@" not in text.partition("%")[0]  # steps are of no use in a paper
    assert r"difference to optimizer.lr=$5\times10^{-5}$ loop=trainer" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.slow
def test_latex_fits_the_page(grid, tmp_path, capsys):
    told(capsys, grid, "--baseline", "optimizer.lr=5e-5", "--latex", tmp_path / "table.tex")
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table.tex}\end{document}"
    (tmp_path / "d.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Overfull" not in done.stdout, done.stdout[-2000:]


def test_nothing_heavy_is_imported(grid):
    heavy = ("torch", "transformers", "datasets", "scipy", "pandas", "numpy", "wandb", "matplotlib", "omegaconf")
    code = f"import sys; from exp.compare import main; main([{str(grid)!r}]); "
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
