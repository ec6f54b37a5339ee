"""Checkpoints: everything a run needs to go on bit for bit, one implementation for both loops.

    checkpoints/step-000459/
        weights.safetensors    parameters and buffers; only the trained ones where the rest is frozen
        training.pt            optimizer, scheduler, scaler, random states of all processes; read with weights_only=True
        state.json             step, counters (best value and its step, early stopping, ...), size of metrics.jsonl
        shards/                of a model that is cut over processes: each one's part of weights and optimizer
        manifest.json          size and sha256 of the others
    checkpoints/latest, best   links for people; a run trusts the steps in state.json alone

Written to a hidden folder, synced, then renamed: a checkpoint that has its name is whole. One that was damaged
later is recognised by its manifest, and the one before it is used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from exp.distributed import shards
from exp.distributed.sharding import cut_like, cut_optimizer_state, is_sharded
from exp.errors import ExpError
from exp.run.files import disk_trouble
from exp.run.folder import name_of, step_of

log = logging.getLogger(__name__)
WEIGHTS, TRAINING, STATE, MANIFEST = "weights.safetensors", "training.pt", "state.json", "manifest.json"
FILES = (WEIGHTS, TRAINING, STATE)


@dataclass(frozen=True)
class Checkpoint:
    path: Path
    step: int

    def state(self) -> dict[str, Any]:
        return json.loads((self.path / STATE).read_text(encoding="utf-8"))

    def damage(self) -> str | None:
        """What is wrong with the files, or None."""
        if not self.path.is_dir():
            return "it is not there"
        try:
            manifest = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
            parts = sorted(name for name in manifest if Path(name).parent == Path(shards.FOLDER))
            for name in (*FILES, *parts):
                said, file = manifest[name], self.path / name
                if file.stat().st_size != said["bytes"]:
                    return f"{name} has {file.stat().st_size} bytes, not {said['bytes']}"
                if _sha256(file) != said["sha256"]:
                    return f"{name} does not match its checksum"
            if self.state()["step"] != self.step:
                return f"{STATE} is that of step {self.state()['step']}"
        except OSError as error:
            return f"{Path(error.filename or self.path).name}: {error.strerror}"
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            return f"{MANIFEST} or {STATE} is not what a checkpoint has ({type(error).__name__}: {error})"
        return None


def begin(folder: Path, step: int) -> Path:
    """An empty folder to write the checkpoint of `step` in, until `save` gives it its name."""
    scratch = folder / f".writing-{name_of(step)}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    return scratch


def said_of(file: Path) -> dict[str, Any]:
    """What a manifest says of a file, which is on disk then."""
    _sync(file)
    return {"bytes": file.stat().st_size, "sha256": _sha256(file)}


@contextmanager
def writing(folder: Path, step: int) -> Iterator[None]:
    """Around what writes; an error leaves nothing behind, and one of the disk is told as ExpError."""
    try:
        yield
    except Exception as error:
        shutil.rmtree(folder / f".writing-{name_of(step)}", ignore_errors=True)
        trouble = disk_trouble(error)
        if trouble is None:
            raise
        raise ExpError(
            f"cannot save the checkpoint of step {step} in {folder}: {trouble}. "
            "Earlier checkpoints are intact; free some space or lower save_total_limit, then resume"
        ) from error


def save(
    folder: Path,
    state: dict[str, Any],
    weights: dict[str, torch.Tensor],
    training: dict[str, Any],
    parts: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Writes checkpoints/step-<state["step"]>.

    Args:
        weights: whole ones.
        training: state dicts (tensors and plain values).
        parts: what the manifest says of files in shards/, which are there; None: there are none.
    """
    final = folder / name_of(state["step"])
    with writing(folder, state["step"]):
        scratch = begin(folder, state["step"]) if parts is None else folder / f".writing-{final.name}"
        save_file(weights, scratch / WEIGHTS)
        torch.save(training, scratch / TRAINING)
        (scratch / STATE).write_text(json.dumps(state))
        manifest = {name: said_of(scratch / name) for name in FILES} | dict(parts or {})
        (scratch / MANIFEST).write_text(json.dumps(manifest))
        _sync(scratch / MANIFEST)
        shutil.rmtree(final, ignore_errors=True)  # a damaged one
        scratch.rename(final)
        _sync(folder)
    return Checkpoint(final, state["step"])


def link(folder: Path, latest: int, best: int | None) -> None:
    """Sets the links `latest` and `best` to these steps, where they are saved."""
    for name, step in (("latest", latest), ("best", best)):
        if step is not None and (folder / name_of(step)).is_dir():
            _link(folder / name, name_of(step))


def prune(folder: Path, limit: int | None, best_step: int | None) -> None:
    """Keeps the newest `limit` checkpoints and, besides, that of the best step."""
    if limit is None:
        return
    ordinary = [item for item in all_checkpoints(folder) if item.step != best_step]
    for old in ordinary[: max(0, len(ordinary) - max(limit, 1))]:
        leaving = folder / f".pruned-{old.path.name}"  # a kill half way leaves nothing that looks like a checkpoint
        old.path.rename(leaving)
        shutil.rmtree(leaving, ignore_errors=True)


def all_checkpoints(folder: Path) -> list[Checkpoint]:
    """Oldest first."""
    found = [Checkpoint(path, step) for path in folder.glob("step-*") if (step := step_of(path)) is not None]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def set_aside(folder: Path, step: int) -> list[int]:
    """Moves the checkpoints after `step` to checkpoints/set_aside, where no resume looks; returns their steps."""
    later = [checkpoint for checkpoint in all_checkpoints(folder) if checkpoint.step > step]
    for checkpoint in later:
        target = folder / "set_aside" / checkpoint.path.name
        target.parent.mkdir(exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        checkpoint.path.rename(target)
    return [checkpoint.step for checkpoint in later]


def newest_good(folder: Path) -> Checkpoint | None:
    """The newest checkpoint whose files match their manifest; a damaged one is named in a warning."""
    passed_over = None
    for checkpoint in reversed(all_checkpoints(folder)):
        damage = checkpoint.damage()
        if damage is None:
            if passed_over:
                log.warning("%s; going on from %s instead", passed_over, checkpoint.path.name)
            return checkpoint
        passed_over = f"checkpoint {checkpoint.path.name} is damaged ({damage})"
    if passed_over:
        log.warning("%s, and there is no earlier one", passed_over)
    return None


def load_weights(checkpoint: Checkpoint, model: torch.nn.Module) -> None:
    """Raises ExpError when the checkpoint holds another model."""
    try:
        weights = load_file(checkpoint.path / WEIGHTS)
    except SafetensorError as error:
        raise ExpError(f"{checkpoint.path / WEIGHTS} cannot be read: {error}") from error
    own = model.state_dict()  # of a model that is cut over processes the shapes are whole
    if (checkpoint.path / shards.FOLDER).is_dir():
        weights |= shards.read(checkpoint.path / shards.FOLDER, "weights", own.get)
    strange = [key for key, value in weights.items() if key not in own or own[key].shape != value.shape]
    absent = set(weights_of(model)) - set(weights)
    if strange or absent:
        which = sorted(strange or absent)[0]
        raise ExpError(f"{checkpoint.path} is a checkpoint of another model: {which} does not fit this one")
    model.load_state_dict({key: cut_like(value, own[key]) for key, value in weights.items()}, strict=False)


def load_training(checkpoint: Checkpoint, optimizer: Any = None) -> dict[str, Any]:
    """Tensors and plain values; raises ExpError for a file that would need code to be read.

    `optimizer`: whose state is wanted; its parameters say how that is cut.
    """
    file = checkpoint.path / TRAINING
    try:
        training = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ExpError(
            f"{file} cannot be read: it holds more than tensors and plain values, which exp never writes and which may "
            f"run code when loaded; do not trust it"
        ) from error
    except (RuntimeError, EOFError) as error:
        raise ExpError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    if optimizer is not None:
        if (checkpoint.path / shards.FOLDER).is_dir():
            _add_shards(training["optimizer"]["state"], checkpoint.path / shards.FOLDER, optimizer)
        training["optimizer"] = cut_optimizer_state(training["optimizer"], optimizer)
    return training


def _add_shards(state: dict[int, dict[str, Any]], folder: Path, optimizer: Any) -> None:
    """To the optimizer's state, which is numbered as its parameters are."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def like(name: str) -> torch.Tensor:
        return parameters[int(name.partition("/")[0])]

    for name, tensor in shards.read(folder, "optimizer/state", like).items():
        number, _, key = name.partition("/")
        state.setdefault(int(number), {})[key] = tensor


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Trained parameters and all buffers; each shared tensor once, because safetensors refuses twins."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    seen: set[int] = set()
    chosen = {}
    for name, tensor in model.state_dict().items():
        held = tensor.to_local() if is_sharded(tensor) else tensor  # this process's slice, where it is cut
        place = held.data_ptr()
        if name in frozen or (tensor.numel() and place in seen):
            continue
        seen.add(place)
        chosen[name] = tensor.contiguous()
    return chosen


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _link(link: Path, target: str) -> None:
    scratch = link.with_name(f".{link.name}")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(target)
    scratch.replace(link)


def clear_scratch(folder: Path) -> None:
    """Removes what a kill left half-written or half-deleted."""
    for pattern in (".writing-*", ".pruned-*"):
        for path in folder.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def bare(model: torch.nn.Module) -> torch.nn.Module:
    """Without the wrappers of DistributedDataParallel and torch.compile."""
    from accelerate.utils import extract_model_from_parallel

    return extract_model_from_parallel(model, keep_torch_compile=False)  # type: ignore[no-any-return]
