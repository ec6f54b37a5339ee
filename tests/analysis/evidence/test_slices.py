"""Slices, scores without leaks, and calibration of run folders written by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.analysis.evidence.test_items import N, guesses, items_of, labels
from tests.analysis.synthetic import predict, write

from exp.analysis.evidence.tables import tables
from exp.analysis.report.payload import payload
from exp.curves.verdict import Thresholds
from exp.errors import ExpError
from exp.run.folder import read_record


def one_run(root, wrong, leaked=None, **columns):
    run = write(root / "a", seed=1)
    texts = [" ".join(["word"] * (1 + number % 10)) + f" {number}" for number in range(N)]
    predict(run, labels(), guesses(wrong), texts, **columns)
    if leaked is not None:
        data = read_record(run.folder)["data"]
        run.update(data={**data, "leaks": {"eval": {"rows": N, "in_train": len(leaked)}}})
        (run.folder / "leaks.json").write_text(json.dumps({"eval": leaked}))
    return root


def titled(comparison, word):
    return next(table for table in tables(comparison.tasks[0], 3) if word in table.title)


def test_worst_slice_first_with_its_interval(tmp_path):
    source = ["web" if number < 20 else "book" for number in range(N)]
    root = one_run(tmp_path / "runs", range(15), source=source)
    found = items_of(root, slices=["source", "length>5", "id<3"])
    [told] = found.tasks[0].items.slices.values()
    assert [(one.name, one.n) for one in told] == [
        ("source=web", 20), ("length>5", 36), ("source=book", 40), ("id<3", 3),
    ]  # fmt: skip
    web = told[0]
    assert (web.value, web.rest) == (0.25, 1.0) and web.low < 0.25 < web.high < 0.6
    assert web.p <= 2e-4 and web.holm >= web.p
    book = told[2]
    assert (book.value, book.high) == (1.0, 1.0) and book.low == pytest.approx(0.025 ** (1 / 40))  # not certain
    shown = titled(found, "slices")
    assert shown.rows[0][:3] == ("source=web", "20", "0.250") and shown.rows[-1][3] == "too few rows"


def test_a_column_of_numbers_is_cut_into_quarters(tmp_path):
    [told] = items_of(one_run(tmp_path / "runs", range(6)), slices=["length"]).tasks[0].items.slices.values()
    assert sum(one.n for one in told) == N and len(told) == 4
    assert {one.name.partition(" ")[0] for one in told} == {"length"}


def test_slices_that_cannot_be(tmp_path):
    root = one_run(tmp_path / "runs", range(6))
    with pytest.raises(ExpError, match="60 values in 60 rows make no slices"):
        items_of(root, slices=["text"])
    with pytest.raises(ExpError, match="> takes a number, not 'long'"):
        items_of(root, slices=["length>long"])
    assert "slice length>900: no row" in items_of(root, slices=["length>900"]).tasks[0].items.notes


def test_scores_without_leaks(tmp_path):
    found = items_of(one_run(tmp_path / "runs", range(6), leaked=list(range(30, 60))), without_leaks=True)
    [told] = found.tasks[0].items.clean.values()
    assert (told.leaked, told.full, told.clean) == (30, pytest.approx(0.9), pytest.approx(0.8))
    assert titled(found, "without leaks").rows[0][1:3] == ("30 of 60", "0.900")
    with pytest.raises(ExpError, match="before exp looked for rows that stand in train"):
        items_of(one_run(tmp_path / "old", range(6)), without_leaks=True)


def test_calibration_and_its_picture(tmp_path):
    dice = np.random.default_rng(2)
    made = guesses(range(15))  # right in 0.75, and always sure
    sure = [0.93 + 0.05 * share for share in dice.random(N)]
    scores = [[1 - p, p] if guess == "yes" else [p, 1 - p] for guess, p in zip(made, sure, strict=True)]
    run = write(tmp_path / "runs" / "a", seed=1)
    predict(run, labels(), made, scores=scores)
    found = items_of(tmp_path / "runs", calibration=True)
    [told] = found.tasks[0].items.calibration.values()
    assert told.overconfident == 1 and told.measured.accuracy == 0.75
    assert told.measured.ece == pytest.approx(told.measured.confidence - 0.75, abs=0.08)
    assert told.temperature > 1.5 and told.ece_after < told.measured.ece - 0.05
    shown = titled(found, "calibration")
    assert any("overconfident in 1 of 1 seeds" in note for note in shown.notes)
    page = payload(found, Thresholds())["tasks"][0]
    assert page["reliability"].startswith("data:image/png;base64,") and len(page["evidence"]) == 2
