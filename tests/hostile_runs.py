"""Run folders and models that hold no good. Each maker gets a `Place` and returns the path of the thing."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.hostile_place import Place, change, copied, link, put


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
    shutil.copytree(place.good / "model", folder, copy_function=copied)
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
