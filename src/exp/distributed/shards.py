"""Tensors that are cut over processes, in files of torch's distributed checkpoint: each process writes its own part.

The files are safetensors, one a process, with the place of each part in its header; they hold no code. Any number of
processes reads them, one without a process group too: each reads what it needs of its own cut.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from exp.distributed.sharding import is_sharded
from exp.errors import ExpError

FOLDER = "shards"


def flat(tree: Any, prefix: str) -> dict[str, Any]:
    """The sharded tensors in a state dict, by the path of their keys."""
    if is_sharded(tree):
        return {prefix: tree}
    if not isinstance(tree, Mapping):
        return {}
    return {name: tensor for key, value in tree.items() for name, tensor in flat(value, f"{prefix}/{key}").items()}


def rest(tree: Any) -> Any:
    """The same state dict without them."""
    if not isinstance(tree, Mapping):
        return tree
    return {key: rest(value) for key, value in tree.items() if not is_sharded(value)}


def write(folder: Path, tensors: Mapping[str, Any], rank: int) -> list[Path]:
    """All processes call this with the same names. Returns the files of this one, in `folder`.

    Raises:
        OSError: one of the processes could not write; the first one's error.
    """
    import torch.distributed.checkpoint as dcp

    try:
        dcp.save(dict(tensors), storage_writer=dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True))
    except dcp.CheckpointException as error:
        raise next((one for one, _ in error.failures.values() if isinstance(one, OSError)), error) from error
    return sorted(folder.glob(f"shard-{rank + 1:05d}-*"))


def read(folder: Path, prefix: str, like: Callable[[str], Any]) -> dict[str, Any]:
    """The tensors below `prefix`, by what follows it.

    Args:
        like: called with such a name; what it gives says how the tensor is cut, None that it is whole.

    Raises:
        ExpError: the files cannot be read.
    """
    import torch.distributed.checkpoint as dcp

    wanted: dict[str, Any] = {}
    try:
        for name, there in dcp.HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata.items():
            if name.startswith(f"{prefix}/"):
                own = like(name.removeprefix(f"{prefix}/"))
                if is_sharded(own) and own.shape == there.size:
                    wanted[name] = torch.empty_like(own, dtype=there.properties.dtype, requires_grad=False)
                else:
                    wanted[name] = torch.empty(there.size, dtype=there.properties.dtype)
        with warnings.catch_warnings():  # of the missing process group, which is meant
            warnings.simplefilter("ignore", UserWarning)
            if wanted:  # each process reads for itself
                dcp.load(wanted, storage_reader=dcp.HuggingFaceStorageReader(str(folder)), no_dist=True)
    except (OSError, ValueError, KeyError, AssertionError, dcp.CheckpointException) as error:
        raise ExpError(f"{folder} cannot be read: {str(error).splitlines()[0]}") from error
    return {name.removeprefix(f"{prefix}/"): tensor for name, tensor in wanted.items()}
