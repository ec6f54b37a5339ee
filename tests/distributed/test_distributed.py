"""Several processes train one run: the same numbers as one (two gloo processes)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from exp.loop.checkpoint import Checkpoint
from exp.testing.loops import run_loop
from tests import forked
from tests.distributed.processes import DATA, LOOPS, RECIPES, SHARDED, data_of, story, words_of
from tests.distributed.shared import TORCHRUN, once

TOLERANCE = 1e-5  # fp32; sums are split otherwise


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """All runs of tests.distributed.processes, by two processes of one launch."""
    return once(tmp_path_factory, "together", launch_all)


def launch_all(folder: Path) -> None:
    for recipe in DATA:
        data_of(recipe)
    done = subprocess.run(
        [forked.python(), *TORCHRUN, "-m", "tests.distributed.processes", str(folder)],
        env={**os.environ, "EXP_FORKS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def numbers(folder: Path, name: str) -> list[dict]:
    """Of both processes."""
    return [json.loads((folder / f"{name}.{rank}.json").read_text()) for rank in (0, 1)]


def same(events, other):
    assert [(step, key) for step, key, _ in events] == [(step, key) for step, key, _ in other]
    for (step, key, one), (_, _, two) in zip(events, other, strict=True):
        assert one == pytest.approx(two, rel=TOLERANCE, abs=TOLERANCE), (step, key)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same recipe in this process, with the same batch of eight."""
    found = {}

    def run(recipe: str, loop: str) -> dict:
        if (recipe, loop) not in found:
            folder = tmp_path_factory.mktemp("alone")
            recorder, result, _, _ = run_loop(folder, *words_of(recipe, loop, 1))
            found[recipe, loop] = story(result, recorder)
        return found[recipe, loop]

    return run


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_two_processes_make_the_numbers_of_one(together, alone, recipe, loop):
    one, (first, second) = alone(recipe, loop), numbers(together, f"{loop}-{recipe}")
    same(first["events"], one["events"])
    assert first["events"] == [list(event) for event in second["events"]]  # decided on one, known to all
    assert first["stopped_early"] == one["stopped_early"] == (recipe == "stopping")
    assert first["objective"]["step"] == one["objective"]["step"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", SHARDED)
def test_sharded_processes_make_the_numbers_of_one(together, alone, how, loop):
    one, (first, _) = alone(SHARDED[how][0], loop), numbers(together, f"{loop}-{how}")
    same(first["events"], one["events"])


@pytest.mark.parametrize("loop", LOOPS)
def test_sharded_processes_go_on_exactly(together, loop):
    (whole, _), (again, _) = numbers(together, f"{loop}-fsdp"), numbers(together, f"{loop}-resumed")
    assert again["events"] == [event for event in whole["events"] if event[0] > 2] and len(again["events"]) == 8
    assert again["objective"] == whole["objective"]


@pytest.mark.parametrize("loop", LOOPS)
def test_one_process_goes_on_with_the_shards_of_two(together, alone, loop, tmp_path):
    """It reads the parts of both, each of whose files stands in the manifest."""
    folder = tmp_path / "run"
    shutil.copytree(together / f"{loop}-cut" / "checkpoints", folder / "checkpoints", symlinks=True)
    step = folder / "checkpoints" / "step-000002"
    manifest = json.loads((step / "manifest.json").read_text())
    parts = sorted(path.name for path in (step / "shards").iterdir())
    assert len(parts) == 2 and {f"shards/{name}" for name in parts} < set(manifest)
    recipe = SHARDED["fsdp"][0]
    recorder, _, _, _ = run_loop(folder, *words_of(recipe, loop, 1))
    same(recorder.events, [event for event in alone(recipe, loop)["events"] if event[0] > 2])
    shutil.copytree(together / f"{loop}-cut" / "checkpoints" / "step-000002", tmp_path / "step-000002")
    found = Checkpoint(tmp_path / "step-000002", 2)
    assert found.damage() is None
    os.truncate(found.path / "shards" / parts[1], 10)
    assert found.damage() == f"shards/{parts[1]} has 10 bytes, not {manifest[f'shards/{parts[1]}']['bytes']}"


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("how", SHARDED)
def test_a_sharded_model_is_saved_whole(together, how, loop):
    from transformers import AutoModelForSequenceClassification

    saved = together / f"{loop}-{how}" / "model"
    assert json.loads((saved / "config.json").read_text())["architectures"] == ["BertForSequenceClassification"]
    model, info = AutoModelForSequenceClassification.from_pretrained(saved, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert model.num_parameters() > 300_000


@pytest.mark.parametrize("loop", LOOPS)
def test_the_first_process_prunes_for_all(together, loop):
    first, second = numbers(together, f"{loop}-pruned")
    assert first["status"] == second["status"] == "pruned"
    assert first["events"] == second["events"]


def test_every_process_draws_masks_of_its_own(together):
    assert [json.loads((together / f"seed.{rank}.json").read_text()) for rank in (0, 1)] == [42, 43]
