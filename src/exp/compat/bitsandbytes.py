"""Names of bitsandbytes that are not public. tests/compat/test_bitsandbytes.py notices a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

REPACKS = "support_avx512bf16_for_cpu"


def keep_4bit_weights(model: nn.Module) -> None:
    """Stops 4-bit layers from repacking their weights.

    On a CPU with AVX512-BF16, bitsandbytes 0.50 repacks a layer for good at its first evaluation, with bf16 scales.
    Training would then go on with other weights. No public option prevents it.
    """
    for module in model.modules():
        if hasattr(module, REPACKS):
            setattr(module, REPACKS, False)
