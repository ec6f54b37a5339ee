"""The promises, for every task: parity of the loops, loss by units, exact resume, the saved model's numbers."""

from __future__ import annotations

import json
import math

import pytest
import torch

from exp.options.confdir import conf_dir
from tests.conformance.runs import SMALL, config_of, parts_of, plain_loop, run_loop
from tests.conformance.task_data import BOUND_TO_THE_BATCH, TASKS
from tests.conformance.test_loop_parity import same

NO_DROPOUT = ["model.dropout=0", "tracker=none"]


def test_every_task_of_conf_is_here():
    assert {path.stem for path in (conf_dir() / "task").glob("*.yaml")} == {name.partition("-")[0] for name in TASKS}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Task name -> the words that train on its small data set, made once."""
    folder = tmp_path_factory.mktemp("task-data")
    return {name: make(folder / name) for name, make in TASKS.items()}


@pytest.mark.parametrize("task", TASKS)
def test_both_loops_equal_a_plain_loop(task, words, tmp_path):
    """With an uneven last group of micro-batches, clipping, and generation or tuning where the task has them."""
    recipe = [*words[task], "gradient_accumulation_steps=4", "max_grad_norm=0.5"]
    reference, _ = plain_loop(*recipe)
    for loop in ("trainer", "accelerate"):
        recorder, result, _, _ = run_loop(tmp_path / loop, f"loop={loop}", *recipe)
        same(recorder, reference)
        assert result.status == "completed"


@pytest.mark.parametrize("task", [name for name in TASKS if name not in BOUND_TO_THE_BATCH])
@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
def test_accumulation_changes_no_loss(task, loop, words, tmp_path):
    """Batch 8, and 4 x 2: the same mean over units, although micro-batches have unequal numbers of them."""
    found = []
    for batch, accumulation in ((8, 1), (4, 2), (2, 4)):
        recorder, _, _, _ = run_loop(
            tmp_path / f"{batch}",
            *words[task],
            *NO_DROPOUT,
            f"loop={loop}",
            f"per_device_train_batch_size={batch}",
            f"gradient_accumulation_steps={accumulation}",
            "num_train_epochs=1",
        )
        found.append([value for key in ("train/loss", "train/grad_norm") for _, value in recorder.of(key)])
    assert len(found[0]) >= 6 and all(map(math.isfinite, found[0]))
    assert found[1] == pytest.approx(found[0], rel=1e-5) and found[2] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
def test_a_run_that_was_cut_ends_as_one_that_never_was(task, loop, words, tmp_path):
    recipe = [*words[task], f"loop={loop}", "save_strategy=steps", "save_steps=4", "save_total_limit=null"]
    whole, _, parts, _ = run_loop(tmp_path / "whole", *recipe)
    cut = tmp_path / "cut"
    (tmp_path / "whole" / "checkpoints").rename(tmp_path / "kept")
    cut.mkdir()
    (cut / "checkpoints").mkdir()
    (tmp_path / "kept" / "step-000008").rename(cut / "checkpoints" / "step-000008")
    resumed, _, again, _ = run_loop(cut, *recipe)
    after = [event for event in whole.events if event[0] > 8]
    assert resumed.events == after
    own, their = parts.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(own[key], their[key]) for key in own)


@pytest.mark.parametrize("task", TASKS)
def test_the_saved_model_gives_the_recorded_numbers(task, words, entry, tmp_path):
    trained = entry("train", *SMALL, *words[task], f"hydra.run.dir={tmp_path / 'run'}", "num_train_epochs=1")
    assert trained.returncode == 0, trained.stderr
    measured = entry("evaluate", f"run={tmp_path / 'run'}")
    assert measured.returncode == 0 and "gives every recorded number exactly" in measured.stdout, measured.stdout
    predicted = entry("predict", f"run={tmp_path / 'run'}", "data.split=eval", f"out={tmp_path / 'again'}")
    assert predicted.returncode == 0, predicted.stderr
    assert _rows(tmp_path / "again.parquet") == _rows(tmp_path / "run" / "predictions" / "eval.parquet")


@pytest.mark.parametrize("task", TASKS)
def test_the_table_alone_gives_every_score(task, words, tmp_path):
    import pyarrow.parquet as pq

    from exp.task import reading_of

    recorder, _, _, run = run_loop(tmp_path / "run", *words[task], "max_steps=2")
    config, facts = config_of(*words[task], "max_steps=2"), _facts(words[task])
    found = reading_of(config, facts).score(pq.read_table(run.predictions / "eval.parquet"))
    logged = {key: value for _, key, value in recorder.events}
    assert found and all(logged[f"eval/{name}"] == value for name, value in found.items())


def _facts(words: list[str]) -> dict:
    from exp.loop.outputs import data_facts

    return data_facts(parts_of(config_of(*words, "max_steps=2")))


def _rows(path) -> list[dict]:
    import pyarrow.parquet as pq

    return json.loads(json.dumps(pq.read_table(path).to_pylist()))
