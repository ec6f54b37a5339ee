"""Names of torch that are not public, each with the reason. tests/compat/test_torch.py notices a change."""

from __future__ import annotations

import torch
from torch import nn

# Set by fully_shard on every module that it shards. It holds process groups, which cannot be copied.
SHARD_STATE = "__composable_api_state_key"
SHARD_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks")


def write_count(tensor: torch.Tensor) -> int:
    """How often somebody has written into `tensor` in place. Autograd counts it; only this name tells it."""
    return tensor._version


def onednn_product(left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """left (n, k) times right (m, k) transposed, plus bias (m), in fp32 by oneDNN.

    torch's public `linear` asks MKL for fp32, and nothing public chooses between the two libraries.
    """
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")  # type: ignore[no-any-return]


def undo_fully_shard(module: nn.Module) -> None:
    """Makes a module that fully_shard has changed an ordinary one again; its parameters have to be whole already.

    torch 2.13 has no public way back: fully_shard puts a class of its own before the module's, a state and hooks.
    """
    module.__class__ = type(module).__mro__[2]
    for key in [key for key in vars(module) if key.startswith(SHARD_STATE)]:
        delattr(module, key)
    for hooks in SHARD_HOOKS:
        getattr(module, hooks).clear()
