"""The rules of learning curves while a run trains; each warning is given once."""

from __future__ import annotations

from dataclasses import dataclass

from exp.curves.curve import CurveBuilder, Facts
from exp.curves.rules import overfitting, underfitting, unstable
from exp.curves.verdict import REMEDIES, TITLES, Thresholds
from exp.metrics.key import Key
from exp.run.events import Event


@dataclass(frozen=True)
class CurveWarning:
    state: str
    step: int
    title: str
    text: str


class LiveRules:
    """Takes every event in order. Returns the warnings that are new; each state warns once a run."""

    def __init__(self, facts: Facts, limits: Thresholds) -> None:
        self.facts = facts
        self.limits = limits
        self.builder = CurveBuilder()
        self.warned: set[str] = set()
        self.events = 0
        self.next_look = 0  # a look reads the whole curve, so looks between evaluations become rarer

    def update(self, event: Event) -> list[CurveWarning]:
        bad_before = len(self.builder.bad)
        self.builder.add(event)
        self.events += 1
        evaluated = any(Key.of(key).split == "eval" for key in event.metrics)
        if not evaluated and len(self.builder.bad) == bad_before and self.events < self.next_look:
            return []
        self.next_look = self.events + max(1, self.events // 20)
        curve = self.builder.curve()
        rules = {"unstable": unstable}
        if evaluated:
            rules["overfitting"] = overfitting
            if len(curve.get("eval/loss")) >= self.limits.live_failed_evaluations:
                rules["underfitting"] = underfitting
        warnings = []
        for state, rule in rules.items():
            if state in self.warned:
                continue
            found = rule(curve, self.facts, self.limits)
            if found is not None:
                self.warned.add(state)
                text = "; ".join(found[1]) + ". Try: " + "; ".join(REMEDIES[state])
                warnings.append(CurveWarning(state, event.step, f"{TITLES[state]} at step {event.step}", text))
        return warnings
