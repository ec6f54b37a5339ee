"""`import exp` in Python and in notebooks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import exp
from tests.finished_runs import copy_of, reviews_run

SMALL = (
    *("data.train_size=32", "data.eval_size=20", "data.test_size=20", "max_steps=2", "tracker=none"),
    *("model.num_hidden_layers=1", "model.hidden_size=16", "model.intermediate_size=16", "logging_steps=1"),
)


def test_import_exp_is_light_and_a_commands_module_is_a_function_too() -> None:
    """In both orders: `import exp.train` binds the module to the name that is called."""
    code = (
        "import sys, json, exp; light = sorted(name for name in sys.modules if name.startswith('exp')); "
        "import exp.train; first = callable(exp.train) and callable(exp.train.main); "
        "from exp import compare; import exp.runs; "
        "print(json.dumps([light, first, callable(compare), callable(exp.runs), callable(exp.sweep), "
        "'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["exp"], True, True, True, True, False]


def test_a_run_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = list(sys.argv)
    run = exp.train([*SMALL, "seed=3"])
    assert (run.status, run.seed, run.config["max_steps"]) == ("completed", 3, 2)
    assert run.folder.is_relative_to(tmp_path / "outputs") and sys.argv == command
    assert json.loads((run.folder / "run.json").read_text())["command"][:2] == ["exp train", SMALL[0]]
    assert "eval/accuracy" in run.best and f"{run.objective} " in repr(run)
    assert list(run.metrics.columns[:3]) == ["step", "epoch", "time"] and run.metrics["step"].max() == 2
    assert len(run.predictions["eval"]) == 20
    assert run.folder.name in run._repr_html_()
    again = exp.train([*SMALL, "seed=3"])  # a second one in the same process
    assert again.folder != run.folder and again.best == run.best


def test_off_the_main_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found: list[exp.LoadedRun] = []
    thread = threading.Thread(target=lambda: found.append(exp.train([*SMALL])))
    thread.start()
    thread.join()
    assert found[0].status == "completed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optimzer=sgd"], "optimzer"),
        (["--multirun"], "call exp.sweep"),
        (["optimizer.lr=-1"], "optimizer.lr=-1 must be above 0"),
        ("optimizer.lr=1", "is one text: give a list"),
    ],
)
def test_bad_words_are_one_exception(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(exp.ExpError, match=said) as error:
        exp.train(words)
    assert error.value._render_traceback_() == [f"exp: {error.value}"]
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from exp.loop.session import Session

    def interrupted(self: Session, *arguments: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return step_end(self, *arguments)

    step_end = Session.step_end
    monkeypatch.setattr(Session, "step_end", interrupted)
    monkeypatch.chdir(tmp_path)
    assert exp.train([*SMALL]).status == "interrupted"


def test_a_sweep_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = exp.sweep([*SMALL, "seed=1,2"])
    assert sweep.folder.is_relative_to(tmp_path / "multirun")
    assert sorted(sweep.runs["seed"]) == [1, 2] and set(sweep.runs["status"]) == {"completed"}
    best = sweep.best
    assert best.best["eval/accuracy"] == sweep.runs["eval/accuracy"].max()
    assert list(sweep.compare().table["n"]) == [2]


def test_a_finished_run_is_loaded(tmp_path: Path) -> None:
    run = exp.load(copy_of(reviews_run(), tmp_path / "mine"))
    assert run.status == "completed" and len(run.predictions["test"]) == 40
    assert {"train/loss", "eval/accuracy"} <= set(run.metrics.columns)
    found = run.pipeline(["the soup was bad ."])
    assert found[0]["label"] in ("negative", "positive") and run.model is run.pipeline.model
    assert "verdict" in run.verdict
    with pytest.raises(exp.ExpError, match="there is no such folder; did you mean 'mine'"):
        exp.load(tmp_path / "mina")


def test_runs_and_comparisons_are_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_of(reviews_run(), tmp_path / "outputs" / "a")
    monkeypatch.chdir(tmp_path)
    table = exp.runs()
    assert list(table["status"]) == ["completed"] and table["eval/accuracy"].notna().all()
    assert exp.runs(where="status=failed").empty
    compared = exp.compare("outputs")
    assert len(compared.table) == 1 and "<table" in compared._repr_html_()
    assert compared.to_html(tmp_path / "report.html").stat().st_size > 10_000
    with pytest.raises(exp.ExpError, match="compare what"):
        exp.compare()
