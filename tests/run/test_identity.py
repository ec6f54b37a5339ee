from __future__ import annotations

import os

from exp.run import identity
from exp.run.identity import condition_hash, fingerprint

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
