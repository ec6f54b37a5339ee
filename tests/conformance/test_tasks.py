"""The promises, for every task: parity of the loops, loss by units, exact resume, the saved model's numbers."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from exp.errors import ExpError
from exp.loop.outputs import data_facts
from exp.options.confdir import conf_dir
from exp.speed.packing import FAMILIES
from exp.task import reading_of
from exp.testing import promises
from exp.testing.loops import config_of, parts_of, run_loop
from tests.conformance.task_data import BOUND_TO_THE_BATCH, TASKS


def test_every_task_of_conf_is_here():
    assert {path.stem for path in (conf_dir() / "task").glob("*.yaml")} == {name.partition("-")[0] for name in TASKS}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Task name -> the words that train on its small data set, made once."""
    folder = tmp_path_factory.mktemp("task-data")
    return {name: make(folder / name) for name, make in TASKS.items()}


@pytest.mark.parametrize("task", TASKS)
def test_both_loops_equal_a_plain_loop_and_cut_runs_go_on(task, words, tmp_path):
    """Generation or tuning included, where the task has them; the table of predictions alone gives every score."""
    recorder, parts, run = promises.both_loops_equal_a_plain_loop_and_go_on(tmp_path, words[task])
    found = reading_of(run.config, data_facts(parts)).score(pq.read_table(run.predictions / "eval.parquet"))
    logged = {key: value for _, key, value in recorder.events}
    assert found and all(logged[f"eval/{name}"] == value for name, value in found.items())


@pytest.mark.parametrize("task", [name for name in TASKS if name not in BOUND_TO_THE_BATCH])
def test_accumulation_changes_no_loss(task, words, tmp_path):
    """Although micro-batches have unequal numbers of units. The other loop equals this one."""
    promises.accumulation_changes_no_loss(tmp_path, words[task])


@pytest.mark.parametrize("task", TASKS)
def test_the_saved_model_gives_the_recorded_numbers(task, words, tmp_path):
    promises.the_saved_model_gives_the_recorded_numbers(tmp_path, words[task])


@pytest.mark.parametrize("task", TASKS)
def test_packed_rows_change_no_number(task, words, tmp_path):
    """Dropout draws other numbers, so it is off; a model that cannot says so."""
    kind = parts_of(config_of(*words[task])).model.config.model_type
    asked = [*words[task], "num_train_epochs=1", *(["model.dropout=0.0"] if kind != "wav2vec2" else [])]
    if kind not in FAMILIES:
        with pytest.raises(ExpError, match=f"batching=packed: a {kind} cannot read rows end to end"):
            parts_of(config_of(*asked, "batching=packed"))
        return
    padded, *_ = run_loop(tmp_path / "padded", *asked)
    packed, *_ = run_loop(tmp_path / "packed", *asked, "batching=packed")
    assert [event[:2] for event in padded.events] == [event[:2] for event in packed.events]
    for (step, key, one), (_, _, other) in zip(padded.events, packed.events, strict=True):
        assert other == pytest.approx(one, abs=1e-4, rel=1e-4, nan_ok=True), (step, key)


@pytest.mark.parametrize("task", ["text_classification", "token_classification", "causal_lm"])
def test_a_model_of_packed_batches_gives_the_recorded_numbers(task, words, tmp_path):
    given = [*words[task], "batching=packed", "max_tokens=300", "eval_max_tokens=90", "speed=fast"]
    promises.the_saved_model_gives_the_recorded_numbers(tmp_path, given)
