"""What a run is called in a dashboard."""

from __future__ import annotations

from pathlib import Path

from exp.tracker.media import best_values
from exp.tracker.name import LONGEST, facts_of, run_name
from tests.tracker.folders import leave_results, new_run

RECORD = {
    "config": {"data": {"name": None}, "model": {"path": "/models/minilm/"}},
    "options": {"data": "mrpc", "model": "minilm_l6", "loop": "trainer"},
    "words": [
        "data=mrpc",
        "model=minilm_l6",
        "optimizer.lr=5e-5",
        "+x.y=1",
        "loop=trainer",
        "hydra.run.dir=/a/b",
        "seed=2",
    ],
    "data": {"fingerprint": "abc"},
    "model": {"parameters": 10, "trained_parameters": 4},
}


def test_a_run_is_named_by_data_model_and_what_differs() -> None:
    assert run_name(RECORD, Path("/a/b")) == "mrpc minilm_l6 lr=5e-5 y=1 loop=trainer seed=2"
    own = {**RECORD, "options": {"data": "files", "model": "pretrained"}, "config": {**RECORD["config"]}, "words": []}
    own["config"] = {"data": {"name": "reviews"}, "model": {"path": "/models/minilm/"}}
    assert run_name(own, Path("/a/b")) == "reviews minilm"
    long = run_name({**RECORD, "words": [f"optimizer.weight_decay={row}" for row in range(40)]}, Path("/a/b"))
    assert len(long) == LONGEST and long.endswith("...")


def test_a_record_without_options_is_named_by_its_folder() -> None:
    assert run_name({"config": {}}, Path("/multirun/12-00-00/3")) == "12-00-00/3"


def test_the_config_says_options_fingerprint_and_size() -> None:
    found = facts_of(RECORD)
    assert found["options"]["model"] == "minilm_l6" and found["data_fingerprint"] == "abc"
    assert (found["parameters"], found["trained_parameters"]) == (10, 4)
    assert facts_of({})["data_fingerprint"] is None


def test_a_test_set_has_no_best(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    leave_results(run, "completed")
    assert best_values(run) and not [key for key in best_values(run) if "test" in key]
