"""The options of the group `distributed`: plain numbers, checked before torch is imported."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen

from exp.errors import ExpError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Count = Annotated[int, Ge(1)]
Seconds = Annotated[float, Gt(0)]
LostAfter = Annotated[float, Ge(5)]  # seconds; a beat a second can be late


def check(node: Mapping[str, Any], started: int, goes_on: bool) -> None:
    """Checks `node` of the config against the processes that were `started`; a resumed run may be given another number.

    Raises ExpError.
    """
    processes = node["processes"]
    if node["_target_"].endswith("Fsdp") and started == 1 and not goes_on:
        raise ExpError(
            "distributed=fsdp shares a model among several processes, and one was started: start them with "
            "torchrun --nproc-per-node 2 -m exp.train ..., or leave distributed=fsdp out"
        )
    if processes != started and not goes_on:
        raise ExpError(
            f"distributed.processes={processes}, and {started} {'was' if started == 1 else 'were'} started "
            f"(WORLD_SIZE): start {processes} (torchrun --nproc-per-node, accelerate launch --multi_gpu "
            f"--num_processes), or leave distributed.processes out"
        )


@dataclass(frozen=True)
class Ddp:
    """Every process holds the model; torch averages the gradients."""

    processes: Count
    timeout: Seconds
    lost_after: LostAfter
    find_unused_parameters: bool
    gradient_as_bucket_view: bool
    broadcast_buffers: bool
    bucket_cap_mb: Count
    static_graph: bool

    def arguments(self, model: PreTrainedModel) -> dict[str, Any]:
        """For accelerate.Accelerator."""
        from accelerate import DistributedDataParallelKwargs

        # torch 2.13 has renamed it; accelerate 1.15 knows the old name alone.
        warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
        given = {key: value for key, value in asdict(self).items() if key not in ("processes", "timeout", "lost_after")}
        return {"kwargs_handlers": [DistributedDataParallelKwargs(**given)]}


@dataclass(frozen=True)
class Fsdp:
    """Every process holds a slice of each weight (FSDP2)."""

    processes: Count
    timeout: Seconds
    lost_after: LostAfter
    reshard_after_forward: bool
    wrap: Literal["transformer", "size", "none"]
    wrap_classes: Annotated[list[str], MinLen(1)] | None
    min_params: Count
    cpu_offload: bool
    activation_checkpointing: bool
    state_dict_type: Literal["sharded", "full"]

    def __post_init__(self) -> None:
        if self.wrap_classes is not None and self.wrap != "transformer":
            raise ExpError("distributed.wrap_classes goes with distributed.wrap=transformer")

    def arguments(self, model: PreTrainedModel) -> dict[str, Any]:
        """For accelerate.Accelerator."""
        from accelerate.utils import FullyShardedDataParallelPlugin

        from exp.distributed import sharding

        by_size = self.wrap == "size"
        units = (
            sharding.units_above(model, self.min_params)
            if by_size
            else self.wrap_classes or sharding.natural_units(model)
        )
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            reshard_after_forward=self.reshard_after_forward,
            auto_wrap_policy="no_wrap" if self.wrap == "none" else "transformer_based_wrap",
            transformer_cls_names_to_wrap=units,
            cpu_offload=self.cpu_offload and sharding.can_offload(),
            activation_checkpointing=self.activation_checkpointing,
            cpu_ram_efficient_loading=False,  # every process has loaded the weights, and their head is drawn alike
            state_dict_type=f"{self.state_dict_type.upper()}_STATE_DICT",
        )
        return {"fsdp_plugin": plugin}
