"""The optimizer options. Each is called as `(model)` once conf/optimizer/*.yaml has given it its numbers."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError, nearest

if TYPE_CHECKING:
    import torch
    from torch import nn

_FUSED_DEVICES = {"cpu", "cuda", "mps", "xpu"}  # where torch 2.13 has a fused Adam
_UNFIT = {
    "LBFGS": "it calls the loss several times a step, which neither loop does",
    "SparseAdam": "it takes sparse gradients only",
    "Muon": "it takes matrices only, and a model has biases and norms",
}


def check(name: str, options: Mapping[str, Any]) -> None:
    """Numbers that no optimizer can work with, found from the config alone.

    `name` is the function's name in this module and `options` its YAML keys. Raises ExpError.
    """
    if not options["lr"] > 0:
        raise ExpError(f"optimizer.lr={options['lr']} must be above 0")
    for key in ("weight_decay", "decay_to_init"):
        if options[key] < 0:
            raise ExpError(f"optimizer.{key}={options[key]} must not be negative; 0.0 turns it off")
    if not 0 < options["layer_decay"] <= 1:
        raise ExpError(
            f"optimizer.layer_decay={options['layer_decay']} must be above 0 and at most 1; 1.0 turns it off"
        )
    if any(not 0 <= beta < 1 for beta in options.get("betas", ())):
        raise ExpError(f"optimizer.betas={list(options['betas'])} must lie in [0, 1)")
    if name == "sgd" and options["nesterov"] and not options["momentum"]:
        raise ExpError("optimizer.nesterov=true needs optimizer.momentum above 0")


def adamw(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    layer_decay: float,
    decay_to_init: float,
    betas: tuple[float, float],
    eps: float,
    bias_correction: bool,
    fused: bool,
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): torch's, or BERT's without bias correction."""
    check("adamw", locals())
    groups = _groups(model, lr, weight_decay, layer_decay)
    first, second = betas
    if bias_correction:
        from torch.optim import AdamW

        made: torch.optim.Optimizer = AdamW(
            groups, lr=lr, betas=(first, second), eps=eps, fused=fused and _can_fuse(groups)
        )
    else:
        from exp.optim.uncorrected import UncorrectedAdamW

        made = UncorrectedAdamW(groups, lr=lr, betas=(first, second), eps=eps, weight_decay=weight_decay)
    return _finish(made, model, decay_to_init)


def adam(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    layer_decay: float,
    decay_to_init: float,
    betas: tuple[float, float],
    eps: float,
    fused: bool,
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015); its weight decay is an L2 term in the gradient."""
    from torch.optim import Adam

    check("adam", locals())
    groups = _groups(model, lr, weight_decay, layer_decay)
    first, second = betas
    made = Adam(groups, lr=lr, betas=(first, second), eps=eps, fused=fused and _can_fuse(groups))
    return _finish(made, model, decay_to_init)


def sgd(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    layer_decay: float,
    decay_to_init: float,
    momentum: float,
    nesterov: bool,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent, with or without momentum."""
    from torch.optim import SGD

    check("sgd", locals())
    groups = _groups(model, lr, weight_decay, layer_decay)
    return _finish(SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov), model, decay_to_init)


def adafactor(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    layer_decay: float,
    decay_to_init: float,
    clip_threshold: float,
    decay_rate: float,
) -> torch.optim.Optimizer:
    """Adafactor (Shazeer and Stern 2018) with an outside learning rate, as transformers.Trainer sets it up."""
    from transformers.optimization import Adafactor

    check("adafactor", locals())
    groups = _groups(model, lr, weight_decay, layer_decay)
    made = Adafactor(
        groups,
        lr=lr,
        clip_threshold=clip_threshold,
        decay_rate=decay_rate,
        # Both off, because the scheduler sets the rate.
        scale_parameter=False,
        relative_step=False,
    )
    return _finish(made, model, decay_to_init)


def adamw_8bit(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float,
    layer_decay: float,
    decay_to_init: float,
    betas: tuple[float, float],
    eps: float,
) -> torch.optim.Optimizer:
    """AdamW with 8-bit state (Dettmers et al. 2022, bitsandbytes), on CUDA and, since 0.49, on a CPU.

    Tensors under 4,096 values and embeddings keep 32-bit state, as the library's authors advise.
    Raises ExpError when bitsandbytes is missing.
    """
    from torch import nn

    check("adamw_8bit", locals())
    bnb = _bitsandbytes()
    groups = _groups(model, lr, weight_decay, layer_decay)
    first, second = betas
    made = bnb.optim.AdamW8bit(groups, lr=lr, betas=(first, second), eps=eps)
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            bnb.optim.GlobalOptimManager.get_instance().register_module_override(module, "weight", {"optim_bits": 32})
    return _finish(made, model, decay_to_init)


def by_name(
    model: nn.Module,
    *,
    name: str,
    lr: float,
    weight_decay: float,
    layer_decay: float,
    decay_to_init: float,
    **options: Any,
) -> torch.optim.Optimizer:
    """Any optimizer of torch.optim by its class name: a new option is one YAML and no Python.

    `options` go to the class as they are. Raises ExpError for an unknown name or an option that it does not take.
    """
    import torch

    check("by_name", locals())
    known = {
        key
        for key, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
    if name in _UNFIT:
        raise ExpError(f"optimizer.name={name!r} cannot train a model here: {_UNFIT[name]}")
    if name not in known:
        raise ExpError(f"optimizer.name={name!r} is not in torch.optim{nearest(name, known - set(_UNFIT))}")
    make = getattr(torch.optim, name)
    takes = set(inspect.signature(make).parameters) - {"params", "lr", "weight_decay"}
    for key in options:
        if key not in takes:
            raise ExpError(f"torch.optim.{name} has no option {key!r} (optimizer.{key}){nearest(key, takes)}")
    if weight_decay and "weight_decay" not in inspect.signature(make).parameters:
        raise ExpError(f"torch.optim.{name} has no weight decay; set optimizer.weight_decay=0.0")
    groups = _groups(model, lr, weight_decay, layer_decay)
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    return _finish(make(groups, lr=lr, **plain), model, decay_to_init)


def _groups(model: nn.Module, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    from exp.optim.groups import parameter_groups

    return parameter_groups(model, lr, weight_decay, layer_decay)


def _can_fuse(groups: list[dict[str, Any]]) -> bool:
    return all(p.device.type in _FUSED_DEVICES and p.is_floating_point() for g in groups for p in g["params"])


def _finish(optimizer: torch.optim.Optimizer, model: nn.Module, decay_to_init: float) -> torch.optim.Optimizer:
    if decay_to_init:
        from exp.optim.anchor import decay_towards_start

        decay_towards_start(optimizer, model, decay_to_init)
    return optimizer


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
