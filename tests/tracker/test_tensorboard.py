from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exp.tracker.tensorboard import FOLDER, TensorBoard
from tests.tracker.folders import leave_results, new_run, with_task

pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read(run):
    found = EventAccumulator(str(run.folder / FOLDER), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    return found.Reload()


def scalars(found, key):
    return [(event.step, event.value) for event in found.Scalars(key)]


def test_numbers_config_pictures_errors_and_best_values(tmp_path):
    run = new_run(tmp_path / "run", config=with_task())
    tracker = TensorBoard(flush_secs=1.0)
    tracker.start(run)
    tracker.log({"train/loss": 0.5, "train/grad_norm": math.inf}, step=10, epoch=0.5)
    tracker.log({"eval/accuracy": 0.75}, step=20, epoch=1.0)
    tracker.alert("unstable", "the loss jumps")
    leave_results(run)
    run.errors.mkdir()
    wrong = {"id": ["1"], "text": ["a | b"], "label": ["no"], "prediction": ["yes"], "confidence": [0.51234]}
    pq.write_table(pa.table(wrong), run.errors / "eval.parquet")
    tracker.finish("completed")
    found = read(run)
    assert scalars(found, "train/loss") == [(10, 0.5)] and scalars(found, "epoch") == [(10, 0.5), (20, 1.0)]
    assert scalars(found, "best/accuracy") == [(20, 0.75)] and scalars(found, "cost/train_seconds") == [(20, 1.5)]
    assert found.Tags()["images"] == ["eval/confusion_matrix"]
    texts = {tag: found.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in found.Tags()["tensors"]}
    assert '"lr": 0.0001' in texts["config/text_summary"]
    assert texts["status/text_summary"] == "completed"
    assert texts["alert/unstable/text_summary"] == "the loss jumps"
    assert "| 1 | a \\| b | no | yes | 0.5123 |" in texts["eval/errors/text_summary"]


def test_hyperparameters_stand_beside_the_best_values(tmp_path):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    run = new_run(tmp_path / "run")
    tracker = TensorBoard(flush_secs=1.0)
    tracker.start(run)
    leave_results(run)
    tracker.finish("completed")
    metadata = read(run).SummaryMetadata("_hparams_/session_start_info")
    started = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info.hparams
    assert started["optimizer.lr"].number_value == 1e-4 and started["status"].string_value == "completed"
    asked = read(run).SummaryMetadata("_hparams_/experiment")
    named = HParamsPluginData.FromString(asked.plugin_data.content).experiment.metric_infos
    assert "best/accuracy" in {one.name.tag for one in named}


def test_a_run_that_goes_on_sends_no_step_twice(tmp_path):
    run = new_run(tmp_path / "run")
    for until, steps in ((None, (10, 20, 30)), (30, (20, 30, 40))):
        if until is not None:
            run.update(logged_until=until)
        tracker = TensorBoard(flush_secs=1.0)
        tracker.start(run)
        for step in steps:
            tracker.log({"train/loss": 1 / step}, step=step, epoch=1.0)
        tracker.finish("interrupted")
    assert [step for step, _ in scalars(read(run), "train/loss")] == [10, 20, 30, 40]
