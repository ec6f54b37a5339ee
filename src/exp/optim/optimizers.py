"""The optimizer options. A loop calls one with the model and gets the torch optimizer."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt, Le, Lt

from exp.errors import ExpError, nearest
from exp.optim.ranges import Betas, NotNegative, Positive, Share

if TYPE_CHECKING:
    import torch
    from torch import nn

_FUSED_DEVICES = {"cpu", "cuda", "mps", "xpu"}  # where torch 2.13 has a fused Adam
Groups = list[dict[str, Any]]  # of parameters, each with its rate and decay


@dataclass(frozen=True)
class OptimizerOption:
    """What every optimizer option has: the rates of each layer, and the two kinds of decay.

    Args of the YAML:
        lr: Learning rate of the top layers.
        weight_decay: Never applied to biases and norms.
        layer_decay: Ratio of a layer's rate to that of the layer above it; 1 gives all the same rate.
        decay_to_init: Strength of the pull towards the weights that training started from; 0 turns it off.
        groups: Rates of their own by pattern: [{pattern: classifier, lr: 1e-3, weight_decay: 0.0}], the first that is
            found in a parameter's name counts.
    """

    lr: Positive
    weight_decay: NotNegative
    layer_decay: Annotated[float, Gt(0), Le(1)]
    decay_to_init: NotNegative
    # The default is how runs were made whose saved config is older than the key.
    groups: list[dict[str, Any]] = field(default_factory=list, kw_only=True)

    def __post_init__(self) -> None:
        for group in self.groups:
            _check_group(group)

    def __call__(self, model: nn.Module) -> torch.optim.Optimizer:
        """Args:
            model: The model to train, on any device, before a checkpoint is loaded into it.

        Returns:
            An optimizer over the trainable parameters.

        Raises:
            ExpError: The model has no trainable parameter, or no layers for `layer_decay`.
        """
        from exp.optim.decay_to_start import decay_towards_start
        from exp.optim.groups import parameter_groups

        made = self.build(parameter_groups(model, self.lr, self.weight_decay, self.layer_decay, self.groups), model)
        if self.decay_to_init:
            decay_towards_start(made, model, self.decay_to_init)
        return made

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer over `groups` (exp.optim.groups.parameter_groups)."""
        raise NotImplementedError


@dataclass(frozen=True)
class AdamWOptimizer(OptimizerOption):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): torch's, or BERT's without bias correction."""

    betas: Betas
    eps: Positive
    bias_correction: bool
    fused: bool

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        first, second = self.betas
        if not self.bias_correction:
            from exp.optim.uncorrected import UncorrectedAdamW

            return UncorrectedAdamW(
                groups, lr=self.lr, betas=(first, second), eps=self.eps, weight_decay=self.weight_decay
            )
        from torch.optim import AdamW

        return AdamW(groups, lr=self.lr, betas=(first, second), eps=self.eps, fused=self.fused and _can_fuse(groups))


@dataclass(frozen=True)
class AdamOptimizer(OptimizerOption):
    """Adam (Kingma and Ba 2015); its weight decay is an L2 term in the gradient."""

    betas: Betas
    eps: Positive
    fused: bool

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        from torch.optim import Adam

        first, second = self.betas
        return Adam(groups, lr=self.lr, betas=(first, second), eps=self.eps, fused=self.fused and _can_fuse(groups))


@dataclass(frozen=True)
class SgdOptimizer(OptimizerOption):
    """Stochastic gradient descent, with or without momentum."""

    momentum: Share
    nesterov: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise ExpError("optimizer.nesterov=true needs optimizer.momentum above 0")

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        from torch.optim import SGD

        return SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)


@dataclass(frozen=True)
class AdafactorOptimizer(OptimizerOption):
    """Adafactor (Shazeer and Stern 2018) with an outside learning rate, as transformers.Trainer sets it up."""

    clip_threshold: Positive
    decay_rate: Annotated[float, Lt(0)]

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        from transformers.optimization import Adafactor

        return Adafactor(
            groups,
            lr=self.lr,
            clip_threshold=self.clip_threshold,
            decay_rate=self.decay_rate,
            # Both off, because the scheduler sets the rate.
            scale_parameter=False,
            relative_step=False,
        )


@dataclass(frozen=True)
class AdamW8bitOptimizer(OptimizerOption):
    """AdamW with 8-bit state (Dettmers et al. 2022, bitsandbytes), on CUDA and, since 0.49, on a CPU.

    Tensors under 4,096 values and embeddings keep 32-bit state, as the library's authors advise.
    """

    betas: Betas
    eps: Positive

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        """Raises ExpError when bitsandbytes is missing."""
        from torch import nn

        bnb = _bitsandbytes()
        first, second = self.betas
        made = bnb.optim.AdamW8bit(groups, lr=self.lr, betas=(first, second), eps=self.eps)
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                bnb.optim.GlobalOptimManager.get_instance().register_module_override(
                    module, "weight", {"optim_bits": 32}
                )
        return made


def _check_group(group: dict[str, Any]) -> None:
    """Raises ExpError for one of `optimizer.groups` that is not pattern, lr and weight_decay."""
    keys = ("pattern", "lr", "weight_decay")
    for key in group:
        if key not in keys:
            raise ExpError(f"optimizer.groups: {key} is no key of a group{nearest(str(key), keys)}")
    pattern = group.get("pattern")
    if not isinstance(pattern, str) or not pattern:
        raise ExpError(f"optimizer.groups: pattern={pattern!r} must be a text, such as classifier")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ExpError(f"optimizer.groups: pattern={pattern!r} is no regular expression: {error}") from None
    for key, least in (("lr", "above 0"), ("weight_decay", "0 or more")):
        value = group.get(key, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (key == "lr" and value == 0):
            raise ExpError(f"optimizer.groups: {key}={value!r} of {pattern!r} must be a number {least}")
    if len(group) == 1:
        raise ExpError(f"optimizer.groups: {pattern!r} says neither lr nor weight_decay")


def _can_fuse(groups: Groups) -> bool:
    return all(p.device.type in _FUSED_DEVICES and p.is_floating_point() for g in groups for p in g["params"])


def _bitsandbytes() -> Any:
    # It warns about optional kernels that it would download.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import bitsandbytes
    except ImportError:
        raise ExpError(
            "optimizer=adamw_8bit needs the package bitsandbytes: pip install 'exp[bnb]'; or take optimizer=adamw"
        ) from None
    return bitsandbytes
