"""Muon for the matrices of the encoder, AdamW for the rest, as one optimizer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from exp.errors import ExpError
from exp.optim.groups import named_trainable, plain_model
from exp.optim.optimizers import Groups, OptimizerOption
from exp.optim.ranges import Betas, Positive, Share

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MuonOptimizer(OptimizerOption):
    """Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): momentum, orthogonalised by Newton-Schulz steps.

    Embeddings, biases, norms and what lies outside of the encoder (the task's head) are AdamW's, as its author has it.
    An update of a matrix is scaled to the size of AdamW's (Liu et al. 2025, arXiv 2502.16982), so both have one rate.

    Args of the YAML:
        momentum: Of Muon.
        nesterov: Whether Muon's momentum looks ahead.
        ns_steps: Newton-Schulz steps an update.
        betas, eps: Of AdamW.
    """

    momentum: Share
    nesterov: bool
    ns_steps: Annotated[int, Ge(1)]
    betas: Betas
    eps: Positive

    def build(self, groups: Groups, model: nn.Module) -> torch.optim.Optimizer:
        """Raises ExpError where no trainable weight is a matrix of the encoder."""
        from torch.optim import AdamW, Muon

        chosen = matrices(model)
        split = [[p for p in group["params"] if id(p) in chosen] for group in groups]
        rest = [[p for p in group["params"] if id(p) not in chosen] for group in groups]
        ours, theirs = _with(groups, split), _with(groups, rest)
        if not ours:
            raise ExpError("optimizer=muon: no trainable weight of the encoder is a matrix; take optimizer=adamw")
        log.info("optimizer: Muon for %s, AdamW for %s", _told(ours), _told(theirs))
        muon = Muon(
            ours,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            ns_steps=self.ns_steps,
            adjust_lr_fn="match_rms_adamw",
        )
        others = [AdamW(theirs, lr=self.lr, betas=tuple(self.betas), eps=self.eps)] if theirs else []
        return _joined([muon, *others])


def matrices(model: nn.Module) -> set[int]:
    """Ids of the encoder's trainable weights of two dimensions that are no embedding."""
    from torch import nn

    plain = plain_model(model)
    prefix = getattr(plain, "base_model_prefix", "")
    tables = {id(module.weight) for module in plain.modules() if isinstance(module, nn.Embedding)}
    return {
        id(p)
        for name, p in named_trainable(model)
        if p.ndim == 2 and id(p) not in tables and (not prefix or name.startswith(f"{prefix}."))
    }


def _with(groups: Groups, params: list[list[Any]]) -> Groups:
    return [{**group, "params": own} for group, own in zip(groups, params, strict=True) if own]


def _told(groups: Groups) -> str:
    weights = [p for group in groups for p in group["params"]]
    return f"{len(weights)} weights ({sum(p.numel() for p in weights):,} values)"


def _joined(parts: list[torch.optim.Optimizer]) -> torch.optim.Optimizer:
    """One optimizer that steps each of `parts`, with the groups of all: what a scheduler and a checkpoint see."""
    from torch.optim import Optimizer

    sizes = [len(part.param_groups) for part in parts]

    class Joined(Optimizer):
        def __init__(self) -> None:
            super().__init__([group for part in parts for group in part.param_groups], {})
            self._share()

        def _share(self) -> None:
            """The parts work on our groups and our state."""
            start = 0
            for part, size in zip(parts, sizes, strict=True):
                part.param_groups, part.state = self.param_groups[start : start + size], self.state
                start += size

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            super().load_state_dict(state_dict)
            self._share()

        def step(self, closure: Callable[[], float] | None = None) -> Any:  # type: ignore[override]
            for part in parts:
                part.step()

    return Joined()
