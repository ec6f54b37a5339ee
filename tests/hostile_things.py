"""What somebody else may hand over: run folders, models, studies, archives, tables and logs that hold no good.

Each maker gets a `Place` and returns the path of the thing. Code that runs makes the file `mark`; a file that is
written outside of the thing changes `outside`, which its links and paths lead to.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Place:
    """`good` is a completed run of this user."""

    root: Path
    good: Path

    @property
    def mark(self) -> Path:
        return self.root / "code_ran"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def write(self) -> dict[str, Any]:
        return {"_target_": "exp.run.files.write_atomic", "path": str(self.mark), "text": "x"}

    @property
    def pickled(self) -> bytes:
        """Makes the mark when it is loaded."""
        return pickle.dumps(Loaded(str(self.mark)))

    @property
    def code(self) -> str:
        return f"open({str(self.mark)!r}, 'w').close()\n"

    def run(self, name: str) -> Path:
        """A copy of the good run that was interrupted, so that it can be gone on with too."""
        folder = self.root / name
        shutil.copytree(self.good, folder, symlinks=True, copy_function=_copy)
        change(folder / "run.json", lambda record: record.update(status="interrupted", cwd=str(self.root / "work")))
        return folder


def _copy(source: str, target: str) -> None:
    """Large files, which are only replaced as a whole, as hard links."""
    (os.link if os.path.getsize(source) > 100_000 else shutil.copy2)(source, target)  # noqa: PTH202


class Loaded:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.mark, "w"))


def put(path: Path, content: str | bytes) -> None:
    """In place of what is there; a hard link to a file of the good run is cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def change(path: Path, how: Callable[[Any], Any]) -> None:
    held = json.loads(path.read_text())
    how(held)
    put(path, json.dumps(held))


def link(path: Path, target: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def edited(place: Place, name: str, edit: Callable[[dict[str, Any]], Any]) -> Path:
    """A run whose config says something else, in both places that hold it."""
    folder = place.run(name)
    change(folder / "run.json", lambda record: edit(record["config"]))
    config = yaml.safe_load((folder / ".hydra" / "config.yaml").read_text())
    edit(config)
    put(folder / ".hydra" / "config.yaml", yaml.safe_dump(config))
    return folder


def foreign_targets(place: Place) -> Path:
    return edited(place, "foreign_targets", lambda config: config.update(data=place.write))


def targets_in_lists(place: Place) -> Path:
    nested = [{"x": [place.write]}]
    return edited(place, "targets_in_lists", lambda config: config["model"].update(reinit_layers=nested, _args_=nested))


def foreign_callbacks(place: Place) -> Path:
    def edit(config: dict[str, Any]) -> None:
        config["callbacks"] = {"evil": place.write}
        config["hydra"] = {"callbacks": {"evil": place.write}, "job": {"env_set": {"PATH": "/tmp"}}}

    return edited(place, "foreign_callbacks", edit)


def links_of_folders(place: Place) -> Path:
    folder = place.run("links_of_folders")
    for name in ("checkpoints", "predictions", "errors", "wandb"):
        link(folder / name, place.outside)
    return folder


def links_of_files(place: Place) -> Path:
    folder = place.run("links_of_files")
    for name in ("curves.png", "train.log", "metrics.jsonl", "result.json", ".lock", "leaks.json", "model/README.md"):
        link(folder / name, place.outside / "diary")
    return folder


def pickles(place: Place) -> Path:
    folder = place.run("pickles")
    for path in (*folder.glob("predictions/*.parquet"), folder / "model" / "model.safetensors"):
        put(path, place.pickled)
    put(folder / "model" / "pytorch_model.bin", place.pickled)
    put(folder / "model" / "training_args.bin", place.pickled)
    for checkpoint in folder.glob("checkpoints/step-*"):
        _refill(checkpoint, {"training.pt": place.pickled})
    return folder


def other_checkpoints(place: Place) -> Path:
    """Their checksums are right, and nothing in them is what a checkpoint has."""
    import torch

    folder = place.run("other_checkpoints")
    for checkpoint in folder.glob("checkpoints/step-*"):
        file = io.BytesIO()
        torch.save([1, 2], file)
        _refill(checkpoint, {"training.pt": file.getvalue()})
    return folder


def _refill(checkpoint: Path, contents: Mapping[str, bytes]) -> None:
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, content in contents.items():
        put(checkpoint / name, content)
        manifest[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    put(checkpoint / "manifest.json", json.dumps(manifest))


def names_that_climb(place: Place) -> Path:
    """Names and paths in the records that lead out, and signs that a terminal obeys."""
    out, sign = "../outside/evil", "\x1b]0;evil\x07"

    def edit(record: dict[str, Any]) -> None:
        record.update(id=out, condition=out, group=out, cwd=str(place.outside), words=[f"data={sign}"])
        record["data"].update(name=out, eval_examples={out: 5}, label_names=[sign, "b"], objective=f"eval/{out}")
        record["config"].update(cache_dir=str(place.outside / "cache"))

    folder = place.run("names_that_climb")
    change(folder / "run.json", edit)
    event = {"step": 1, "epoch": 1, "time": 1, "metrics": {f"eval/{out}": 0.5, f"eval/{sign}": 0.5}}
    put(folder / "metrics.jsonl", json.dumps(event) + "\n")
    return folder


def _code_in(model: Path, place: Place) -> Path:
    for name in ("modeling_evil.py", "tokenization_evil.py", "custom_generate/generate.py"):
        put(model / name, place.code)
    names = {"AutoConfig": "modeling_evil.Evil", "AutoModelForSequenceClassification": "modeling_evil.Evil"}
    trusted = {"auto_map": names, "trust_remote_code": True, "custom_code": True, "architectures": ["Evil"]}
    change(model / "config.json", lambda config: config.update(trusted))
    tokenizer = {"auto_map": {"AutoTokenizer": ["tokenization_evil.Evil", "tokenization_evil.Evil"]}}
    tokenizer |= {"tokenizer_class": "Evil", "trust_remote_code": True}
    change(model / "tokenizer_config.json", lambda config: config.update(tokenizer))
    return model


def code_in_the_runs_model(place: Place) -> Path:
    folder = edited(place, "code_in_the_runs_model", lambda config: config["model"].update(trust_remote_code=True))
    _code_in(folder / "model", place)
    return folder


def model_folder(place: Place, name: str) -> Path:
    folder = place.root / name
    shutil.copytree(place.good / "model", folder, copy_function=_copy)
    return folder


def model_with_code(place: Place) -> Path:
    return _code_in(model_folder(place, "model_with_code"), place)


def model_of_an_unknown_kind(place: Place) -> Path:
    folder = _code_in(model_folder(place, "model_of_an_unknown_kind"), place)
    change(folder / "config.json", lambda config: config.update(model_type="evil"))
    return folder


def pickled_model(place: Place, name: str = "pickled_model") -> Path:
    folder = model_folder(place, name)
    (folder / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "adapter_model.bin", "model.pt"):
        put(folder / name, place.pickled)
    return folder


def adapter_of_another_model(place: Place) -> Path:
    folder = pickled_model(place, "adapter_of_another_model")
    told = {"peft_type": "LORA", "base_model_name_or_path": str(place.outside), "auto_mapping": {"parent_library": "x"}}
    put(folder / "adapter_config.json", json.dumps(told))
    return folder


def model_too_large(place: Place) -> Path:
    folder = model_folder(place, "model_too_large")
    change(folder / "config.json", lambda config: config.update(vocab_size=10**13, num_hidden_layers=3))
    return folder


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
        *(foreign_targets, targets_in_lists, foreign_callbacks, links_of_folders, links_of_files, pickles),
        *(other_checkpoints, names_that_climb, code_in_the_runs_model, model_with_code, model_of_an_unknown_kind),
        *(pickled_model, adapter_of_another_model, model_too_large, foreign_study, study_kept_in_a_journal_outside),
        *(study_kept_in_a_database_outside, study_kept_in_a_diary, table_of_targets, table_of_folders),
        *(table_that_runs, table_that_grows, log_of_garbage, a_pickle),
    )
}
THINGS["archive"] = lambda place: archive(place, "archive", ARCHIVES["climbs"](place))
