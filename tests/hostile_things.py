"""What somebody else may hand over: run folders, models, studies, archives, tables and logs that hold no good.

Each maker gets a `Place` and returns the path of the thing. Runs and models are in hostile_runs.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests import hostile_runs as runs
from tests.hostile_place import Place, put


def foreign_study(place: Place) -> Path:
    """Its config files lead out, its trials hold a pickle, and its mark names a storage that is not there."""
    import optuna

    from exp.study import frozen_config

    folder = place.root / "foreign_study"
    folder.mkdir()
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    study = optuna.create_study(study_name="evil", storage=optuna.storages.JournalStorage(backend))
    hydra = "hydra: {callbacks: {evil: {_target_: os.system}}}\n"
    files = {
        "train.yaml": hydra,
        "../../../outside/evil.yaml": "x: 1\n",
        "data/reviews.yaml": yaml.safe_dump(place.write),
    }
    frozen_config.store(study, {"conf": files})
    spread = {"optimizer.lr": optuna.distributions.FloatDistribution(0, 1)}
    attrs = {
        "cma:optimizer:0": place.pickled.hex(),
        "job": {"tag": "x", "after": [], "words": ["data._target_=os.system"]},
    }
    made = optuna.trial.create_trial(params={"optimizer.lr": 0.5}, distributions=spread, value=1.0, system_attrs=attrs)
    study.add_trial(made)
    put(folder / "study.json", json.dumps({"study_name": "evil", "storage": None}))
    put(folder / "workers" / "worker.pkl", place.pickled)
    return folder


def _study_kept(place: Place, name: str, storage: str) -> Path:
    folder = place.root / name
    put(folder / "study.json", json.dumps({"study_name": "evil", "storage": storage}))
    return folder


def study_kept_in_a_journal_outside(place: Place) -> Path:
    return _study_kept(place, "study_in_a_journal", f"journal://{place.outside}/new/journal.log")


def study_kept_in_a_database_outside(place: Place) -> Path:
    return _study_kept(place, "study_in_a_database", f"sqlite:///{place.outside}/new.db")


def study_kept_in_a_diary(place: Place) -> Path:
    return _study_kept(place, "study_in_a_diary", f"sqlite:///{place.outside}/diary")


def archive(place: Place, file: str, odd: dict[str, Any]) -> Path:
    """A good record, and a member that no archive has: `tarfile.TarInfo`'s attributes."""
    path = place.root / f"{file}.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for member in ({"name": "run/run.json"}, odd):
            content = (place.good / "run.json").read_bytes() if member is not odd else b"x"
            info = tarfile.TarInfo()
            info.size = 0 if "type" in member else len(content)
            for key, value in member.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return path


ARCHIVES: dict[str, Callable[[Place], dict[str, Any]]] = {
    "climbs": lambda place: {"name": "run/../../outside/evil"},
    "absolute": lambda place: {"name": str(place.outside / "evil")},
    "a link": lambda place: {"name": "run/checkpoints", "type": tarfile.SYMTYPE, "linkname": str(place.outside)},
    "a hard link": lambda place: {"name": "run/x", "type": tarfile.LNKTYPE, "linkname": "../outside/diary"},
    "a device": lambda place: {"name": "run/null", "type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
    "a pipe": lambda place: {"name": "run/pipe", "type": tarfile.FIFOTYPE},
    "a stray file": lambda place: {"name": "sitecustomize.py"},
    "a file for a folder": lambda place: {"name": "run/run.json/x"},
    "a terminal's signs": lambda place: {"name": "\x1b]0;evil\x07/x"},
}


def table(place: Place, name: str, text: str) -> Path:
    path = place.root / f"{name}.yaml"
    put(path, text)
    return path


TABLE = """
title: evil
source: {{paper: "no", table: x, split: dev}}
split: dev
unit: percent
aggregate: mean
use: last
seeds: [1]
overrides: [tracker=none]
rows: {{evil: {{overrides: {overrides}}}}}
columns: {{toy: {{overrides: [], metric: accuracy}}}}
published: {{}}
tolerance: 1.0
"""


def table_of_targets(place: Place) -> Path:
    node = "{_target_: exp.run.files.write_atomic, path: " + str(place.mark) + ", text: x}"
    words = json.dumps([f"data._target_={place.write['_target_']}", f"++callbacks.evil={node}"])
    return table(place, "table_of_targets", TABLE.format(overrides=words))


def table_of_folders(place: Place) -> Path:
    words = json.dumps([f"hydra.run.dir={place.outside}/evil", f"hydra.searchpath=[file://{place.outside}]"])
    return table(place, "table_of_folders", TABLE.format(overrides=words).replace("{evil:", "{../../outside/evil:"))


def table_that_runs(place: Place) -> Path:
    return table(place, "table_that_runs", f"title: !!python/object/apply:os.system ['touch {place.mark}']\n")


def table_that_grows(place: Place) -> Path:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{row}: &a{row} [{', '.join([f'*a{row - 1}'] * 9)}]" for row in range(1, 12)]
    return table(place, "table_that_grows", "\n".join([*lines, "title: *a11", "rows: *a11", "columns: *a11", ""]))


def log_of_garbage(place: Place) -> Path:
    path = place.root / "offline-run-1" / "run-evil.wandb"
    put(path, b":W&B\x3e\x9a" + bytes(range(256)) * 20)
    return path


def a_pickle(place: Place) -> Path:
    path = place.root / "a_pickle.pt"
    put(path, place.pickled)
    return path


THINGS: dict[str, Callable[[Place], Path]] = {
    made.__name__: made
    for made in (
        *(
            runs.foreign_targets,
            runs.targets_in_lists,
            runs.foreign_callbacks,
            runs.links_of_folders,
            runs.links_of_files,
            runs.pickles,
        ),
        *(
            runs.other_checkpoints,
            runs.names_that_climb,
            runs.code_in_the_runs_model,
            runs.model_with_code,
            runs.model_of_an_unknown_kind,
        ),
        *(
            runs.pickled_model,
            runs.adapter_of_another_model,
            runs.model_too_large,
            foreign_study,
            study_kept_in_a_journal_outside,
        ),
        *(study_kept_in_a_database_outside, study_kept_in_a_diary, table_of_targets, table_of_folders),
        *(table_that_runs, table_that_grows, log_of_garbage, a_pickle),
    )
}
THINGS["archive"] = lambda place: archive(place, "archive", ARCHIVES["climbs"](place))
