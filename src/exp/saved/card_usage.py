"""How a card says to load a model whose adapter is not merged (exp.model.unmerged)."""

from __future__ import annotations

import json
from pathlib import Path

from exp.model.unmerged import BASE, adapter_of

CODE = """from peft import PeftModel
from transformers import AutoTokenizer, {kind}

base = {kind}.from_pretrained("{place}", subfolder="{base}")
model = PeftModel.from_pretrained(base, "{place}")
tokenizer = AutoTokenizer.from_pretrained("{place}")"""


def with_adapter(model: Path, place: str) -> str:
    """Args:
    model: the folder of the saved model.
    place: its name in the card.
    """
    named = json.loads((model / BASE / "config.json").read_text(encoding="utf-8")).get("architectures") or [""]
    kind = named[0] if str(named[0]).isidentifier() else "AutoModel"
    adapter = adapter_of(model)
    code = CODE.format(kind=kind, place=place, base=BASE)
    told = (
        f"The model's own weights are as they were. What was trained is {adapter['num_virtual_tokens']} virtual "
        f"tokens ({adapter['peft_type'].lower().replace('_', ' ')}) before every row, and the head where there is one; "
        f"peft puts the two together."
    )
    if adapter["peft_type"] != "PREFIX_TUNING" and adapter.get("task_type") in ("CAUSAL_LM", "TOKEN_CLS"):
        told += " Its logits begin with those of the virtual tokens: leave them out."
    return f"{told}\n\n```python\n{code}\n```"
