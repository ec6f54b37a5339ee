"""A loss of one's own: a function of (logits, labels), or of (outputs, labels), that gives one value a unit."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exp.errors import ExpError
from exp.loss.base import require

if TYPE_CHECKING:
    from torch import Tensor

    from exp.loss.base import LossFacts
    from exp.task.base import Head

TAKES = "a loss is a function of (logits, labels) or (outputs, labels) that gives one value a unit"


def check_function(function: Callable[..., Any]) -> None:
    """Raises ExpError for a function that cannot be called with logits and labels."""
    if not callable(function):
        raise ExpError(f"loss: {function!r} cannot be called; {TAKES}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # built-in
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise ExpError(f"loss: {name_of(function)}{signature} {error}; {TAKES}") from None


@dataclass(frozen=True)
class FunctionLoss:
    """The mean over units of what `function` gives. With a first argument named `outputs` it gets the model's whole
    output, else the logits [units, classes] (scores: [units]); `labels` are the units' (exp.task.terms)."""

    function: Callable[..., Any]
    head: Head
    whole: bool

    def __call__(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        assert self.head.terms is not None
        output = model(**batch)
        terms = self.head.terms.of(batch, output)
        if self.whole:
            labels = terms[0].labels if len(terms) == 1 else tuple(term.labels for term in terms)
            return self._mean(self.function(output, labels), len(terms[0].labels))
        means = [self._mean(self.function(term.logits, term.labels), len(term.labels)) for term in terms]
        return sum(means) / len(means)  # type: ignore[return-value]

    def _mean(self, values: Any, units: int) -> Tensor:
        """Raises ExpError where they are not one a unit: a mean taken by the function itself would be no mean over the
        units of a step with several micro-batches."""
        import torch

        name = name_of(self.function)
        if not isinstance(values, torch.Tensor):
            raise ExpError(f"loss: {name} gives {type(values).__name__}; it has to give a tensor of {units} values")
        if values.shape != (units,):
            given = "one number" if values.dim() == 0 else f"the shape {tuple(values.shape)}"
            mend = "leave out the mean (reduction='none')" if values.dim() == 0 else "give one value a unit"
            raise ExpError(f"loss: {name} gives {given} for {units} units; {mend}: the shape ({units},)")
        if not values.requires_grad and torch.is_grad_enabled():
            raise ExpError(f"loss: {name} gives values without a gradient; compute them from the logits in torch")
        return values.mean()


def build_function(function: Callable[..., Any], facts: LossFacts) -> FunctionLoss:
    """Raises ExpError where the function has another signature, or the task no logits and labels a unit."""
    require(facts, name_of(function), "class", "binary", "score")
    check_function(function)
    return FunctionLoss(function, facts.head, next(iter(inspect.signature(function).parameters)) == "outputs")


def name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)
