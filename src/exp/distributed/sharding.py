"""A model that FSDP2 shards over the processes: its units, and whole tensors to and from shards."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from exp.compat.torch import undo_fully_shard
from exp.compat.transformers import unsplit_classes
from exp.errors import ExpError

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel

log = logging.getLogger("exp")


def natural_units(model: PreTrainedModel) -> list[str] | None:
    """The classes that `model` does not want split, without those that cannot be units."""
    around = _around_embeddings(model)
    return [name for name in unsplit_classes(model) if name not in around] or None


def units_above(model: PreTrainedModel, least: int) -> list[str]:
    """The classes that have a module of more than `least` parameters and can be units.

    Accelerate 1.15 has a policy by size, which also takes lists of modules; those have no forward pass, and
    fully_shard refuses them. Raises ExpError where no module is so large.
    """
    around = _around_embeddings(model)
    sizes: dict[str, int] = {}
    for module in model.modules():
        name = type(module).__name__
        if not isinstance(module, nn.ModuleList | nn.ModuleDict) and name not in around:
            sizes[name] = max(sizes.get(name, 0), sum(weights.numel() for weights in module.parameters()))
    found = [name for name, size in sizes.items() if size > least]
    if not found:
        raise ExpError(
            f"distributed.min_params={least}: no part of {type(model).__name__} is so large; the largest, "
            f"{max(sizes, key=lambda name: sizes[name])}, has {max(sizes.values())}"
        )
    return found


def _around_embeddings(model: PreTrainedModel) -> set[str]:
    """The classes of modules that hold the token embeddings, and theirs.

    Accelerate 1.15 makes a unit of these itself, and a module in two units is an error in torch 2.13.
    """
    embeddings = model.get_input_embeddings()
    return {type(module).__name__ for module in model.modules() if embeddings in list(module.modules())}


def can_offload() -> bool:
    """False without a GPU: the weights are in main memory then."""
    if not torch.accelerator.is_available():
        log.info("distributed.cpu_offload left out: there is no GPU, the weights are in main memory anyway")
        return False
    return True


def shard_on_cpu(accelerator: Accelerator, plugin: Any) -> None:
    """Accelerate 1.15 shards on GPUs only, and on a CPU silently takes DDP; its FSDP2 code works there as well."""
    from accelerate.utils import DistributedType

    if plugin is None or accelerator.distributed_type != DistributedType.MULTI_CPU:
        return
    if accelerator.mixed_precision != "no":
        plugin.set_mixed_precision(accelerator.mixed_precision)
    accelerator.state.distributed_type, accelerator.state.fsdp_plugin = DistributedType.FSDP, plugin


def is_sharded(value: Any) -> bool:
    """Whether it is a DTensor. Importing that class is slow, and a run of one process does not need it."""
    return hasattr(value, "full_tensor")


def gather_whole(value: Any, keep: bool = True) -> Any:
    """`value` with every shard replaced by its whole tensor on the CPU. All processes must call this.

    With `keep=False` the process takes part and keeps no tensor.
    """
    if is_sharded(value):
        full = value.full_tensor()
        return full.cpu() if keep else None
    if isinstance(value, Mapping):
        return {key: gather_whole(item, keep) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [gather_whole(item, keep) for item in value]
    return value


def cut_like(value: torch.Tensor, own: Any) -> torch.Tensor:
    """This process's shard of a whole tensor, cut as `own` is; `value` itself if `own` is not sharded, or it is cut."""
    if not is_sharded(own) or is_sharded(value):
        return value
    from torch.distributed.tensor import distribute_tensor

    # Every process has read the whole tensor from the checkpoint, so nothing has to be sent.
    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements, src_data_rank=None)


def cut_optimizer_state(state: dict[str, Any], optimizer: Any) -> dict[str, Any]:
    """An optimizer's state dict whose tensors are sharded like their parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not any(is_sharded(parameter) for parameter in parameters):
        return state
    cut = {
        number: {
            key: cut_like(value, parameters[number])
            if isinstance(value, torch.Tensor) and value.shape == parameters[number].shape
            else value
            for key, value in entry.items()
        }
        for number, entry in state["state"].items()
    }
    return {**state, "state": cut}


def unshard(model: nn.Module) -> None:
    """Turns `model` into an ordinary one with whole weights on the CPU. All processes must call this."""
    cut = [module for module in model.modules() if hasattr(module, "reshard")]
    for module in cut:
        module.reshard()  # the last forward pass may have left it whole
    made: dict[int, nn.Parameter] = {}  # a tied weight stays one
    for module in model.modules() if cut else ():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if is_sharded(parameter):
                if id(parameter) not in made:
                    full = parameter.detach().full_tensor().cpu()
                    made[id(parameter)] = nn.Parameter(full, requires_grad=parameter.requires_grad)
                setattr(module, name, made[id(parameter)])
    for module in cut:
        undo_fully_shard(module)
