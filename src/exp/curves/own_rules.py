"""Verdict rules of the user's own: conf/verdict/<state>.yaml of the project and of trusted packages.

A rule is a frozen dataclass, its fields the YAML's keys. It is asked after exp's rules for runs that went wrong, and
before those for runs that went well.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from exp.curves.curve import Curve, Facts
from exp.curves.verdict import Thresholds
from exp.errors import ExpError
from exp.options import outside

log = logging.getLogger(__name__)
Finding = tuple[int | None, tuple[str, ...]]  # step, evidence


class Rule(Protocol):
    """What conf/verdict/<state>.yaml names. `remedies` are short imperatives."""

    remedies: tuple[str, ...]

    def __call__(self, curve: Curve, facts: Facts, limits: Thresholds) -> Finding | None:
        """Where the state shows first (None: nowhere in particular) and the evidence; None where it does not hold."""
        ...


def own_rules() -> Mapping[str, Rule]:
    """State -> rule. Raises ExpError for a YAML that is wrong."""
    return outside.parts("verdict")


def found_by_own(curve: Curve, facts: Facts, limits: Thresholds) -> tuple[str, Finding, tuple[str, ...]] | None:
    """State, finding and remedies of the first rule that finds something. One that raises is named, and left out."""
    for state, rule in own_rules().items():
        try:
            found = rule(curve, facts, limits)
            if found is None:
                continue
            step, evidence = found
            return state, (step, tuple(map(str, evidence))), tuple(getattr(rule, "remedies", ()))
        except ExpError:
            raise
        except Exception as error:
            log.warning("the verdict rule %s fails and is left out: %s: %s", state, type(error).__name__, error)
    return None
