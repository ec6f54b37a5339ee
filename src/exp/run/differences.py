"""How the code, the packages and the machine of a run differ from another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exp.run.environment import PACKAGES
from exp.run.secrets import redacted

# Of run.json's hardware block: what the last bits of a sum can depend on.
HARDWARE = ("cpu", "cores", "threads", "gpus")
MOST_TOLD = 5  # packages in one line


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line a difference between two records (or parts of them); a block that one lacks is not compared."""
    return [*_code(then.get("git"), now.get("git")), *_packages(then, now), *_hardware(then, now)]


def _code(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> list[str]:
    if then is None or now is None:
        return []
    lines = []
    if then["commit"] != now["commit"]:
        lines.append(f"code: commit {then['commit'][:12]} then, {now['commit'][:12]} now")
    if then["dirty"]:
        cut = ", and only its first part was kept" if then.get("diff_cut") else ""
        lines.append(f"code: the run started from changes that were not committed (git.diff in run.json{cut})")
    if now["dirty"]:
        lines.append("code: there are changes now that are not committed")
    return lines


def _packages(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line each for those that numbers come from, one for all others; older records have no others."""
    if "packages" not in then or "packages" not in now:
        return []
    old, new = then["packages"], now["packages"]
    main = [
        f"package {name}: {old.get(name, 'absent')} then, {new.get(name, 'absent')} now"
        for name in ("python", *PACKAGES)
        if old.get(name) != new.get(name)
    ]
    others = [
        f"{name} {old[name]} then, {new[name]} now"
        for name in old
        if name in new and name not in ("python", *PACKAGES) and old[name] != new[name]
    ]
    if not others:
        return main
    more = f"; and {len(others) - MOST_TOLD} more" if len(others) > MOST_TOLD else ""
    return [*main, f"other packages: {'; '.join(others[:MOST_TOLD])}{more}"]


def _hardware(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    if "hardware" not in then or "hardware" not in now:
        return []
    old, new = then["hardware"], now["hardware"]
    return [
        f"hardware: {name} {old.get(name)} then, {new.get(name)} now"
        for name in HARDWARE
        if (name in old or name in new) and old.get(name) != new.get(name)
    ]


def since(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed between the start of a run and now: code (commit or uncommitted changes) and packages."""
    lines = []
    for name, key in (("exp", "git"), ("your code", "project")):
        old, new = then.get(key), now.get(key)
        if not old or not new:
            continue
        if old["commit"] != new["commit"]:
            lines.append(f"{name} went from commit {old['commit'][:12]} to {new['commit'][:12]}")
        elif old["diff"] != redacted(new["diff"]):
            lines.append(f"{name} has other uncommitted changes")
    return [*lines, *_packages(then, now)]
