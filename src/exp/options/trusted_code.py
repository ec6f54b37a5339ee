"""The user's own code as a run depended on it: which version of each trusted package, and whether it changed since."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from exp.options.project import Package, packages
from exp.run.environment import changed_files, git

log = logging.getLogger(__name__)
SKIPPED = ("__pycache__",)


def record_packages() -> list[dict[str, Any]]:
    """For run.json: each trusted package, what trusts it, version, commit, changed files, hash of all files."""
    return [_recorded(package) for package in packages()]


def warn_of_changes(record: Mapping[str, Any]) -> None:
    """One line for each package whose files are not those of the run in `record` (run.json)."""
    now = {package.name: package for package in packages()}
    for then in record.get("trusted", []):
        package = now.get(then["name"])
        if package is None:
            log.warning("the run used the package %s, which is not trusted now", then["name"])
        elif _content(package) != then["content"]:
            version_then = f" (version {then['version']} then)" if then["version"] else ""
            log.warning("the code of %s has changed since the run%s", then["name"], version_then)


def _recorded(package: Package) -> dict[str, Any]:
    # An installed package may lie in someone's checkout, which does not track it.
    tracked = package.file.name if package.file else "."
    state = git(package.home, holds=tracked) or {}
    return {
        "name": package.name,
        "origin": package.origin,
        "version": version(package.name),
        "commit": state.get("commit"),
        "dirty": changed_files(package.home, tracked) if state else None,
        "content": _content(package),
    }


def version(name: str) -> str | None:
    """Of the distribution that brings the package; None where none is installed."""
    top = name.partition(".")[0]
    for distribution in metadata.packages_distributions().get(top, [top]):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def _content(package: Package) -> str:
    """sha256 over names and contents of its files."""
    digest = hashlib.sha256()
    for name, file in _files(package):
        digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files(package: Package) -> Iterator[tuple[str, Path]]:
    if package.file:
        yield package.file.name, package.file
    for folder in package.folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not set(SKIPPED) & set(file.parts):
                yield file.relative_to(folder).as_posix(), file
