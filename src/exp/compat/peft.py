"""Names of peft that are not public, each with the reason. tests/compat/test_peft.py notices a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Running means of AdaLoRA's section 3.2, in the rank allocator's words.
IMPORTANCES = ("ipt", "exp_avg_ipt", "exp_avg_unc")


def rank_allocator(model: PreTrainedModel) -> Any | None:
    """What AdaLoRA decides its ranks by, and peft saves nowhere; None for every other adapter.

    It has the attributes `IMPORTANCES`, dicts of tensors by parameter name.
    """
    return getattr(model.base_model, "rankallocator", None)
