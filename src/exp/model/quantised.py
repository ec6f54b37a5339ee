"""From 4-bit weights with LoRA updates back to a plain model."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from exp.compat.transformers import forget_quantisation

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def unpacked_copy(model: Any) -> PreTrainedModel:
    """A plain fp32 copy of a peft model over bitsandbytes 4-bit layers; the given model stays as it is.

    peft's own merge rounds the sum back to 4 bits, which throws most of a small update away.
    """
    import bitsandbytes as bnb
    import torch
    from torch import nn

    model = copy.deepcopy(model)
    base = model.get_base_model()
    updates = {
        name: module.get_delta_weight("default").detach()
        for name, module in base.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    plain = model.unload()
    packed = [(name, m) for name, m in plain.named_modules() if isinstance(m, bnb.nn.Linear4bit)]
    for name, module in packed:
        weight = bnb.functional.dequantize_4bit(module.weight.data, module.weight.quant_state).to(torch.float32)
        if name in updates:
            weight = weight + updates[name].to(weight)
        linear = nn.Linear(module.in_features, module.out_features, bias=module.bias is not None, device=weight.device)
        linear.weight.data = weight
        if module.bias is not None:
            linear.bias.data = module.bias.data.to(torch.float32)
        plain.set_submodule(name, linear)
    forget_quantisation(plain)
    return plain
