from __future__ import annotations

import json
import sys

import pytest

from exp.errors import ExpError
from exp.tracker.workspace import build_report


def test_without_the_package_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", None)
    with pytest.raises(ExpError, match="wandb-workspaces"):
        build_report("exp", "lr-study", "accuracy", "me")


def test_the_report_filters_one_group_and_averages_its_seeds(server):
    pytest.importorskip("wandb_workspaces", reason="the extra workspaces is not installed")
    report = build_report("exp", "lr-study", "accuracy", "me")
    spec = json.loads(report._to_model().spec.model_dump_json(by_alias=True))
    (grid,) = [block for block in spec["blocks"] if block["type"] == "panel-grid"]
    (runs,) = grid["metadata"]["runSets"]
    text = json.dumps(runs["filters"])
    assert '"group"' in text
    assert '"lr-study"' in text
    assert "condition" in json.dumps(runs["grouping"])
    panels = json.dumps(grid["metadata"]["panelBankSectionConfig"]["panels"])
    assert all(name in panels for name in ("eval/accuracy", "train/loss", "best/accuracy", "stddev"))
