from __future__ import annotations

import os
import re
from pathlib import Path

from exp.run import identity
from exp.run.identity import condition_hash, fingerprint, fingerprints

CONFIG = {
    "seed": 1,
    "init_seed": 1,
    "data_seed": 1,
    "dropout_seed": 1,
    "num_train_epochs": 3,
    "optimizer": {"_target_": "exp.optim.optimizers.adamw", "lr": 5e-5, "betas": [0.9, 0.999]},
    "tracker": {"wandb": {"project": "a"}},
    "cache_dir": "/somewhere",
    "resume": None,
}


def test_seeds_trackers_and_places_are_no_part_of_a_condition():
    other = {**CONFIG, "seed": 2, "init_seed": 7, "data_seed": 8, "dropout_seed": 9}
    other |= {"tracker": {}, "cache_dir": "/elsewhere", "resume": "auto"}
    assert condition_hash(other) == condition_hash(CONFIG)


def test_a_rate_is_part_of_it_and_a_spelling_is_not():
    assert condition_hash({**CONFIG, "optimizer": {**CONFIG["optimizer"], "lr": 1e-5}}) != condition_hash(CONFIG)
    assert condition_hash({**CONFIG, "num_train_epochs": 3.0}) == condition_hash(CONFIG)


def test_the_default_has_the_hash_that_readme_shows():
    """A key that was added since stands in ADDED with its first default; else every older run is another condition."""
    from exp.config.compose import compose, plain

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"condition ([0-9a-f]{12}), seed 42", readme)
    config = plain(compose([]))
    assert condition_hash(config, known=fingerprints(config)) == shown


def test_order_of_keys_does_not_matter():
    assert condition_hash(dict(reversed(CONFIG.items()))) == condition_hash(CONFIG)


def test_an_option_added_later_changes_no_old_hash(monkeypatch):
    monkeypatch.setitem(identity.ADDED, "speed.compile", False)
    assert condition_hash({**CONFIG, "speed": {"compile": False}}) == condition_hash(CONFIG)
    assert condition_hash({**CONFIG, "speed": {"compile": True}}) != condition_hash(CONFIG)


def test_a_path_counts_by_what_it_holds(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.tsv").write_text("one\n")
    here = condition_hash({**CONFIG, "data": {"path": str(tmp_path / "here")}})
    assert here == condition_hash({**CONFIG, "data": {"path": str(tmp_path / "there")}})
    (tmp_path / "there" / "train.tsv").write_text("two\n")
    assert here != condition_hash({**CONFIG, "data": {"path": str(tmp_path / "there")}})
    assert condition_hash({**CONFIG, "data": {"path": "glue/mrpc"}}) != here


def test_a_fingerprint_is_kept_until_a_file_changes(tmp_path):
    folder, cache = tmp_path / "model", tmp_path / "cache"
    folder.mkdir()
    weights = folder / "model.safetensors"
    weights.write_bytes(b"a" * 100)
    first = fingerprint(folder, cache)
    [memo] = (cache / "fingerprints").iterdir()
    memo.write_text('"remembered"')
    assert fingerprint(folder, cache) == "remembered"
    os.utime(weights, ns=(1, 1))
    assert fingerprint(folder, cache) == first


def test_when_to_save_log_or_predict_is_no_part_of_a_condition():
    base = {**CONFIG, "eval_strategy": "epoch", "eval_steps": None, "logging_steps": 10, "on_bad_loss": "stop"}
    quiet = {"save_strategy": "steps", "save_steps": 5, "save_total_limit": 1, "logging_steps": 1, "do_predict": True}
    assert condition_hash({**base, **quiet}) == condition_hash(base)
    assert condition_hash({**base, "eval_steps": 7}) == condition_hash(base)  # evaluates by epochs
    by_steps = {**base, "eval_strategy": "steps"}
    assert condition_hash({**by_steps, "eval_steps": 10}) == condition_hash(by_steps)  # null means logging_steps
    assert condition_hash({**by_steps, "logging_steps": 1}) != condition_hash(by_steps)
    rewinds = {**base, "on_bad_loss": "rewind", "save_steps": 5}
    assert condition_hash({**rewinds, "save_steps": 9}) != condition_hash(rewinds)  # it goes back to a checkpoint


def test_what_exp_writes_beside_the_data_is_no_data(tmp_path):
    (tmp_path / "train.tsv").write_text("one\n")
    before = fingerprint(tmp_path, tmp_path / "cache")
    for place in ("outputs/a", "multirun/s/0", "elsewhere/run", ".git", "__pycache__"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "metrics.jsonl").write_text("{}\n")
    (tmp_path / "elsewhere" / "run" / "run.json").write_text("{}")
    (tmp_path / "nowhere").symlink_to(tmp_path / "not there")
    assert fingerprint(tmp_path, tmp_path / "cache") == before
    (tmp_path / "elsewhere" / "more.tsv").write_text("two\n")
    assert fingerprint(tmp_path, tmp_path / "cache") != before


def test_of_a_folder_with_named_files_only_these_count(tmp_path):
    for name in ("train.csv", "test.csv", "notes.txt"):
        (tmp_path / name).write_text(name)
    data = {"path": str(tmp_path), "train_file": "train.csv", "test_files": ["test.csv"]}
    before = condition_hash({**CONFIG, "data": data})
    (tmp_path / "notes.txt").write_text("more")
    assert condition_hash({**CONFIG, "data": data}) == before
    here = {"path": None, "train_file": str(tmp_path / "train.csv"), "test_files": [str(tmp_path / "test.csv")]}
    assert condition_hash({**CONFIG, "data": here}) == before
    (tmp_path / "test.csv").write_text("more")
    assert condition_hash({**CONFIG, "data": data}) != before


def test_a_cache_that_cannot_be_written_costs_a_warning(tmp_path, caplog):
    (tmp_path / "train.tsv").write_text("one\n")
    (tmp_path / "cache").write_text("a file where a folder should be")
    first = fingerprint(tmp_path / "train.tsv")
    assert fingerprint(tmp_path / "train.tsv", tmp_path / "cache") == first
    assert "fingerprints are not kept" in caplog.text
