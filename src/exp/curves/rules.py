"""The rules of learning curves: from series and facts to a verdict. Pure; numbers in, words out."""

from __future__ import annotations

import math

from exp.curves.curve import Curve, Facts, Series, eval_metrics, primary_key
from exp.curves.measures import chance_loss, floors, generalisation_loss, value_at, windows
from exp.curves.own_rules import Finding, found_by_own
from exp.curves.verdict import REMEDIES, EvaluatedStep, Thresholds, Verdict
from exp.run.said import counted


def verdict(curve: Curve, facts: Facts, limits: Thresholds) -> Verdict:
    """The first rule that finds something decides, in the order below; healthy if none does.

    Unstable comes first because it needs no evaluations. Overfitting comes before underfitting: a model
    that learned its few examples by heart is often no better than the majority class.
    """
    rules = (
        ("unstable", unstable),
        ("insufficient", insufficient),
        ("overfitting", overfitting),
        ("underfitting", underfitting),
    )
    for state, rule in rules:
        found = rule(curve, facts, limits)
        if found is not None:
            return _finish(state, found, curve, facts, limits)
    own = found_by_own(curve, facts, limits)
    if own is not None:
        return _finish(own[0], own[1], curve, facts, limits, own[2])
    for state, rule in (("improving", improving), ("converged", converged)):
        found = rule(curve, facts, limits)
        if found is not None:
            return _finish(state, found, curve, facts, limits)
    return _finish("healthy", (None, _progress(curve)), curve, facts, limits)


def unstable(curve: Curve, facts: Facts, limits: Thresholds) -> Finding | None:
    """NaN or infinity, a training loss above guessing, once or all along, a relapse, or a collapse."""
    # Gradient norms overflow on purpose under fp16's loss scaling; a correlation of a constant is NaN.
    bad = [(step, key) for step, key in curve.bad if key.endswith("loss")]
    if bad:
        step, key = bad[0]
        return step, (f"{key} was not finite at step {step} ({len(bad)} such values)",)
    train = windows(curve.get("train/loss"), limits.window_steps)
    chance = chance_loss(train, facts.chance_train_loss)
    if chance is None:
        return None
    lowest = math.inf
    for index, (step, value) in enumerate(zip(train.steps, train.values, strict=True)):
        if index > 0 and value > limits.spike * chance:
            return step, (
                f"train/loss reached {max(train.values[1:]):.3g}, above {limits.spike:g} times the loss of "
                f"guessing ({chance:.3g}), first at step {step}",
                *_norm_evidence(curve),
            )
        if value > lowest + limits.relapse * chance:
            return step, (
                f"train/loss climbed from {lowest:.3g} back to {value:.3g} by step {step}",
                *_norm_evidence(curve),
            )
        lowest = min(lowest, value)
    middle = sorted(train.values)[len(train) // 2] if len(train) else 0.0
    # Only where guessing is known: the first window, which takes its place in regression, is one noisy mean.
    if (
        facts.chance_train_loss is not None
        and len(train) >= limits.stuck_windows
        and middle > limits.stuck_above * chance
    ):
        return train.steps[0], (
            f"train/loss stayed above that of guessing ({chance:.3g}): its median is {middle:.3g}, "
            f"{middle / chance:.2f} times as much",
            *_norm_evidence(curve),
        )
    return _collapse(curve, facts, limits, train, chance)


def _collapse(curve: Curve, facts: Facts, limits: Thresholds, train: Series, chance: float) -> Finding | None:
    """The model had learned something and ends as a majority classifier, training loss back at guessing."""
    if not len(train) or train.values[-1] < 0.9 * chance:
        return None
    for key, (floor, error) in floors(curve, facts).items():
        series = curve.get(key)
        top = max(range(len(series)), key=lambda i: series.values[i])
        if series.values[top] > floor + 3 * error and series.values[-1] <= floor + limits.standard_errors * error:
            return series.steps[-1], (
                f"{key} fell from {series.values[top]:.3g} (step {series.steps[top]}) to "
                f"{series.values[-1]:.3g}, no better than guessing ({floor:.3g})",
                f"train/loss is back at {train.values[-1]:.3g}, that of guessing",
            )
    return None


def insufficient(curve: Curve, facts: Facts, limits: Thresholds) -> Finding | None:
    key = primary_key(curve, facts)
    count = max(len(curve.get("eval/loss")), len(curve.get(key)) if key else 0)
    if count >= limits.min_evaluations:
        return None
    return None, (f"{counted(count, 'evaluation')}; a trend needs {limits.min_evaluations}",)


def overfitting(curve: Curve, facts: Facts, limits: Thresholds) -> Finding | None:
    """Generalisation loss after Prechelt 1998, while the training loss still falls."""
    loss = curve.get("eval/loss")
    if len(loss) < 2:
        return None
    best = min(range(len(loss)), key=lambda i: loss.values[i])
    after = list(range(best + 1, len(loss)))[-2:]
    if not after:
        return None
    lowest = loss.values[best]
    train = windows(curve.get("train/loss"), limits.window_steps)
    chance = chance_loss(train, facts.chance_loss) or loss.values[0]
    limit = limits.generalisation_loss * (limits.single_rise if len(after) == 1 else 1.0)
    if any(generalisation_loss(loss.values[i], lowest) <= limit for i in after):
        return None
    if any(loss.values[i] - lowest <= limits.smallest_rise * chance for i in after):
        return None
    evidence = [
        f"eval/loss rose from {lowest:.3g} (step {loss.steps[best]}) to {loss.values[-1]:.3g}: "
        f"generalisation loss {generalisation_loss(loss.values[-1], lowest):.0f}% (limit {limit:g}%)"
    ]
    if len(train):
        then = value_at(train, loss.steps[best])
        now = train.values[-1]
        if now > (1 - limits.training_fall) * then:
            return None
        evidence.append(f"train/loss fell from {then:.3g} to {now:.3g} over the same steps")
    key = primary_key(curve, facts)
    if key and key != "eval/loss":
        values = curve.get(key)
        change = values.values[-1] - value_at(values, loss.steps[best])
        better = change > 0 if facts.rises(key) else change < 0
        if better:
            evidence.append(
                f"{key} still gained {abs(change):.3g}: the model is right as often, and too sure when wrong"
            )
    return loss.steps[best], tuple(evidence)


def underfitting(curve: Curve, facts: Facts, limits: Thresholds) -> Finding | None:
    """Not above the majority class by one standard error; without labels: hardly anything learned."""
    known = floors(curve, facts)
    if known:
        evidence = []
        for key, (floor, error) in known.items():
            values = curve.get(key).values[-limits.failed_evaluations :]
            mean = sum(values) / len(values)
            if mean > floor + limits.standard_errors * error:
                return None
            evidence.append(
                f"{key} {mean:.3g} (mean of the last {len(values)}) is not above guessing: "
                f"{floor:.3g} + {limits.standard_errors:g} standard error ({error:.2g})"
            )
        if improving(curve, facts, limits) is not None:
            return None  # it has not failed yet: "still improving" says so
        return curve.get(next(iter(known))).steps[-1], tuple(evidence)
    train = windows(curve.get("train/loss"), limits.window_steps)
    if len(train) < 2 or train.values[-1] <= (1 - limits.learned) * train.values[0]:
        return None
    return train.steps[-1], (
        f"train/loss went from {train.values[0]:.3g} to {train.values[-1]:.3g}: less than {limits.learned:.0%} learned",
    )


def improving(curve: Curve, facts: Facts, limits: Thresholds) -> Finding | None:
    loss = curve.get("eval/loss")
    if len(loss) >= 2:
        start = _last_third(len(loss))
        gain = (loss.values[start] - loss.values[-1]) / loss.values[start] if loss.values[start] > 0 else 0.0
        if loss.values[-1] <= min(loss.values) and gain >= limits.improving:
            return loss.steps[-1], (
                f"eval/loss fell by {gain:.1%} since step {loss.steps[start]}, to {loss.values[-1]:.3g}, its lowest",
                *_not_yet(curve, facts, limits),
            )
        return None
    key = primary_key(curve, facts)
    if key is None:
        return None
    series = curve.get(key)
    sign = 1.0 if facts.rises(key) else -1.0
    signed = [sign * value for value in series.values]
    start = _last_third(len(series))
    gain = signed[-1] - signed[start]
    if signed[-1] >= max(signed) and gain >= limits.improving * abs(signed[start]) and gain > 0:
        return series.steps[-1], (f"{key} gained {gain:.3g} since step {series.steps[start]} and is at its best",)
    return None


def converged(curve: Curve, facts: Facts, limits: Thresholds) -> Finding | None:
    series, name = curve.get("eval/loss"), "eval/loss"
    if not len(series):
        name = primary_key(curve, facts) or ""
        series = curve.get(name)
    if len(series) < limits.min_evaluations:
        return None
    tail = series.values[_last_third(len(series)) :]
    middle = abs(sum(tail) / len(tail))
    if middle == 0 or (max(tail) - min(tail)) / middle > limits.flat:
        return None
    return series.steps[-1], (
        f"{name} stayed within {(max(tail) - min(tail)) / middle:.1%} over the last {len(tail)} evaluations "
        f"({tail[-1]:.3g})",
        *_progress(curve),
    )


def _last_third(count: int) -> int:
    """Index where the last third begins, at least two values long."""
    return min(count - 2, count - 1 - count // 3)


def _progress(curve: Curve) -> tuple[str, ...]:
    loss = curve.get("eval/loss")
    if len(loss) < 2:
        return ()
    return (f"eval/loss went from {loss.values[0]:.3g} to {loss.values[-1]:.3g}, lowest {min(loss.values):.3g}",)


def _not_yet(curve: Curve, facts: Facts, limits: Thresholds) -> tuple[str, ...]:
    for key, (floor, error) in floors(curve, facts).items():
        value = curve.get(key).values[-1]
        if value <= floor + limits.standard_errors * error:
            return (f"{key} {value:.3g} is not yet above guessing ({floor:.3g})",)
    return ()


def _norm_evidence(curve: Curve) -> tuple[str, ...]:
    norms = curve.get("train/grad_norm")
    if len(norms) < 3:
        return ()
    middle = sorted(norms.values)[len(norms) // 2]
    top = max(range(len(norms)), key=lambda i: norms.values[i])
    return (f"train/grad_norm: median {middle:.3g}, highest {norms.values[top]:.3g} at step {norms.steps[top]}",)


def _finish(
    state: str,
    found: Finding,
    curve: Curve,
    facts: Facts,
    limits: Thresholds,
    remedies: tuple[str, ...] | None = None,
) -> Verdict:
    """`remedies`: of a rule of the user's own; exp's have theirs by state."""
    key = primary_key(curve, facts)
    best = last = cost = None
    if key is not None and len(curve.get(key)):
        series, losses = curve.get(key), curve.get("eval/loss")
        sign = 1.0 if facts.rises(key) else -1.0
        at_loss = dict(zip(losses.steps, losses.values, strict=True))
        top = max(range(len(series)), key=lambda i: sign * series.values[i])
        best = EvaluatedStep(series.steps[top], series.values[top], at_loss.get(series.steps[top]))
        last = EvaluatedStep(series.steps[-1], series.values[-1], at_loss.get(series.steps[-1]))
        cost = abs(best.value - last.value)
    step, evidence = found
    told = REMEDIES[state] if remedies is None else remedies
    return Verdict(state, step, evidence, key, best, last, cost, told, _caveats(state, curve, facts, limits))


def _caveats(state: str, curve: Curve, facts: Facts, limits: Thresholds) -> tuple[str, ...]:
    notes = []
    train, loss, rate = curve.get("train/loss"), curve.get("eval/loss"), curve.get("train/lr")
    if (
        len(train)
        and len(loss)
        and state in ("healthy", "converged", "improving")
        and loss.values[-1] < train.values[-1]
    ):
        notes.append("dropout is on in training and off in evaluation: it alone can put train/loss above eval/loss")
    if state in ("converged", "underfitting") and len(rate) and max(rate.values) > 0:
        share = rate.values[-1] / max(rate.values)
        if share < limits.decayed:
            notes.append(f"the rate had decayed to {share:.0%} of its peak: a plateau then shows the schedule as well")
    if state in ("converged", "underfitting", "improving") and any(
        key.endswith("accuracy") for key in eval_metrics(curve)
    ):
        size = f" of 1/{facts.eval_examples}" if facts.eval_examples else ""
        notes.append(f"accuracy moves in steps{size}; the loss shows smaller changes")
    if state not in ("insufficient", "unstable") and not floors(curve, facts):
        notes.append("what guessing gives is unknown here: nothing was compared with it")
    return tuple(notes)
