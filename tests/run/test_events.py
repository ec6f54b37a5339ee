from __future__ import annotations

import json
import math

import pytest

from exp.run.events import EventLog, read_events


def test_events_come_back_as_they_were_written(tmp_path):
    log = EventLog(tmp_path / "metrics.jsonl")
    log.append({"train/loss": 0.5, "train/lr": 4e-5}, step=120, epoch=0.96)
    [event] = read_events(tmp_path / "metrics.jsonl")  # flushed, though the log is still open
    assert (event.step, event.epoch, event.metrics) == (120, 0.96, {"train/loss": 0.5, "train/lr": 4e-5})
    log.close()


def test_a_nan_is_null_in_the_file_and_nan_again_for_readers(tmp_path):
    log = EventLog(tmp_path / "m.jsonl")
    log.append({"train/loss": math.nan, "train/grad_norm": math.inf}, step=1, epoch=0.1)
    log.close()
    raw = json.loads((tmp_path / "m.jsonl").read_text(), parse_constant=lambda word: 1 / 0)
    assert raw["metrics"] == {"train/loss": None, "train/grad_norm": None}
    assert math.isnan(read_events(tmp_path / "m.jsonl")[0].metrics["train/loss"])


def test_a_half_written_line_and_unknown_fields_are_passed_over(tmp_path):
    whole = '{"step": 1, "epoch": 0.5, "time": 1.0, "metrics": {"a": 1.0}, "newer": [1]}\n'
    (tmp_path / "m.jsonl").write_text(whole + '{"step": 2, "epoch": 1.0, "ti')
    assert [event.step for event in read_events(tmp_path / "m.jsonl")] == [1]
    assert read_events(tmp_path / "absent.jsonl") == []


def test_the_clock_goes_on_after_a_resume(tmp_path):
    log = EventLog(tmp_path / "m.jsonl", seconds=100.0)
    log.append({"a": 1.0}, step=1, epoch=0.1)
    log.close()
    assert 100.0 <= read_events(tmp_path / "m.jsonl")[0].time < 101.0


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 1e400, "epoch": 1, "time": 1, "metrics": {"eval/loss": 1}}',
        '{"step": 1.5, "epoch": 1, "time": 1, "metrics": {"eval/loss": 1}}',
        '{"step": -1, "epoch": 1, "time": 1, "metrics": {}}',
        '{"step": true, "epoch": 1, "time": 1, "metrics": {}}',
        '{"step": 2, "epoch": Infinity, "time": 1, "metrics": {}}',
        '{"step": 2, "epoch": 1, "time": 1, "metrics": {"train/loss": "abc"}}',
        '{"step": 2, "epoch": 1, "time": 1, "metrics": {"train/loss": true}}',
        '{"step": 2, "epoch": 1, "time": 1, "metrics": ' + "[" * 100_000,
        '{"step": 2, "epoch": 1, "time": 1, "metrics": {"a": ' + "9" * 400 + "}}",
        "[]",
        "\0" * 20,
    ],
)
def test_a_line_that_is_no_event_hides_no_other(line, tmp_path):
    whole = '{"step": %d, "epoch": 0.5, "time": 1.0, "metrics": {"a": 1.0}}\n'
    (tmp_path / "m.jsonl").write_text(whole % 1 + line + "\n" + whole % 3)
    assert [event.step for event in read_events(tmp_path / "m.jsonl")] == [1, 3]
