"""exp explain and exp diff: what a user asks before and after a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from exp import diff, explain
from exp.errors import ExpError
from tests.finished_runs import REVIEWS, copy_of, reviews_run


def test_a_key_is_explained() -> None:
    said = list(explain.explain("optimizer.momentum", ["optimizer=sgd", "optimizer.momentum=0.5"]))
    assert said[0] == "optimizer.momentum = 0.5"
    assert "Sutskever" in said[1] and said[2].strip().startswith("takes a number, 0 or more")
    assert "0.9 in " in said[3] and said[3].endswith("(optimizer/sgd)")
    assert said[-1] == "  0.5 on the command line"


def test_where_presets_set_a_key() -> None:
    said = list(explain.explain("num_train_epochs", ["experiment=mrpc_minilm", "data.path=x", "model.path=y"]))
    assert [line.rpartition("(")[2] for line in said if " in " in line and "(" in line][:2] == [
        "train)",
        "experiment/mrpc_minilm)",
    ]


def test_a_group_is_its_options() -> None:
    said = list(explain.explain("scheduler", []))
    assert said[0] == "scheduler=linear" and any(line.startswith("  cosine ") for line in said)
    assert next(explain.explain("hub.push", [])) == "hub.push = false"


def test_an_unknown_key_is_told_the_nearest() -> None:
    with pytest.raises(ExpError, match=r"optimizer\.lrr: no such key; did you mean 'optimizer\.lr'"):
        list(explain.explain("optimizer.lrr", []))
    with pytest.raises(ExpError, match=r"^nosuch: no such key"):
        list(explain.explain("nosuch", []))


def test_two_runs_are_compared(tmp_path: Path) -> None:
    one, two = copy_of(reviews_run(), tmp_path / "one"), copy_of(reviews_run(), tmp_path / "two")
    same = list(diff.told([str(one), str(two)], False))
    assert [line for line in same if "equal" in line] == ["config: equal", "surroundings: equal", "results: equal"]
    record = (two / "run.json").read_text()
    (two / "run.json").write_text(record.replace('"lr": 0.001', '"lr": 0.002'))
    assert '"lr": 0.001' in record and "optimizer.lr=1e-3" in REVIEWS
    assert "  optimizer.lr  0.001 -> 0.002" in list(diff.told([str(one), str(two)], False))
    with pytest.raises(ExpError, match="holds no run"):
        list(diff.told([str(one), str(tmp_path)], False))


def test_a_key_of_another_option_is_told_its_option() -> None:
    with pytest.raises(
        ExpError, match=r"optimizer.momentum: no such key here; it comes with optimizer=muon or optimizer=sgd"
    ):
        list(explain.explain("optimizer.momentum", []))
    with pytest.raises(ExpError, match=r"it comes with tracker=wandb, e.g. exp explain tracker.wandb.project tracker="):
        list(explain.explain("tracker.wandb.project", ["tracker=none"]))
