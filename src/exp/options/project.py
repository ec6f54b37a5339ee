"""The user's own code and configs: the project around the working directory, and the packages that are trusted.

Only installed or local code says what is trusted: a package by the entry point group `exp.parts`, the pyproject.toml of
the working directory (or above, up to the repository's root) by `[tool.exp] trust`, the environment by EXP_TRUST.
"""

from __future__ import annotations

import os
import sys
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from exp.errors import ExpError, nearest

ENTRY_POINTS = "exp.parts"
KEYS = ("trust", "conf")
# A process that works in another folder (exp.reproduce, a worker) keeps the project it was started from.
PROJECT = "EXP_PROJECT"
NONE = "none"


@dataclass(frozen=True)
class Package:
    """A trusted package. `origin` says in words what trusts it."""

    name: str
    origin: str
    folder: Path

    @property
    def root(self) -> Path:
        """Where Python finds it: an entry of sys.path."""
        parts = self.name.split(".")
        return self.folder.parents[len(parts) - 1] if self.folder.name == parts[-1] else self.folder

    def holds(self, target: str) -> bool:
        return target.startswith(f"{self.name}.")


@dataclass(frozen=True)
class Project:
    """What `[tool.exp]` of a pyproject.toml says. `folder` is None where there is none."""

    folder: Path | None
    trust: tuple[str, ...] = ()
    conf: Path | None = None


def project() -> Project:
    """The project of the working directory, or the one that EXP_PROJECT names. Raises ExpError for a wrong value."""
    return _project(os.environ.get(PROJECT), str(Path.cwd()))


def packages() -> tuple[Package, ...]:
    """Every trusted package, found but not imported. Raises ExpError for one that is not there."""
    return _packages(project(), os.environ.get("EXP_TRUST", ""))


def conf_folders() -> list[Path]:
    """The project's own configs, and conf/ of each trusted package that has one."""
    own = project().conf
    of_packages = [package.folder / "conf" for package in packages()]
    return [*([own] if own else []), *(folder for folder in of_packages if folder.is_dir())]


def environment() -> dict[str, str]:
    """Variables for a process that is to trust the same, whatever folder it works in."""
    found = project().folder
    given = [Path(entry).absolute() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    entries = dict.fromkeys(map(str, [*given, *(package.root for package in packages())]))
    return {PROJECT: str(found) if found else NONE, **({"PYTHONPATH": os.pathsep.join(entries)} if entries else {})}


def _project(given: str | None, here: str) -> Project:
    if given is not None:
        return Project(None) if given == NONE else _read(Path(given) / "pyproject.toml") or Project(None)
    return next(
        (found for folder in _upwards(Path(here)) if (found := _read(folder / "pyproject.toml"))), Project(None)
    )


def _upwards(here: Path) -> list[Path]:
    """`here`, and the folders above it up to the repository's root; without a repository `here` alone."""
    folders = [here, *here.parents]
    root = next((at for at, folder in enumerate(folders) if (folder / ".git").exists()), 0)
    return folders[: root + 1]


def _read(path: Path) -> Project | None:
    """None where the file is not there or has no [tool.exp]."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    if "tool" not in text or "exp" not in text:
        return None
    try:
        table = tomllib.loads(text).get("tool", {}).get("exp")
    except tomllib.TOMLDecodeError as error:
        raise ExpError(f"{path} is no valid TOML: {error}") from None
    if table is None:
        return None
    return _checked(path, table)


def _checked(path: Path, table: Any) -> Project:
    where = f"{path}, [tool.exp]"
    if not isinstance(table, dict):
        raise ExpError(f"{where} must be a table with the keys {' and '.join(KEYS)}")
    for key in table:
        if key not in KEYS:
            raise ExpError(f"{where}: {key} is no such key{nearest(key, KEYS)}")
    trust, conf = table.get("trust", []), table.get("conf")
    if not isinstance(trust, list) or not all(isinstance(name, str) and name for name in trust):
        raise ExpError(f'{where}: trust={trust!r} must be a list of package names, e.g. trust = ["my_pkg"]')
    if conf is None:
        return Project(path.parent, tuple(trust))
    if not isinstance(conf, str) or not (path.parent / conf).is_dir():
        raise ExpError(f'{where}: conf={conf!r} must be a folder beside the file, e.g. conf = "conf"')
    return Project(path.parent, tuple(trust), (path.parent / conf).resolve())


@lru_cache
def _packages(of: Project, listed: str) -> tuple[Package, ...]:
    found: dict[str, Package] = {}
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        _add(found, entry.module, f"entry point {entry.name} of {entry.dist.name if entry.dist else 'a package'}")
    for name in of.trust:
        _add(found, name, f"[tool.exp] trust in {of.folder}/pyproject.toml", of.folder)
    for name in filter(None, (part.strip() for part in listed.split(","))):
        _add(found, name, "EXP_TRUST")
    return tuple(found.values())


def _add(found: dict[str, Package], name: str, origin: str, beside: Path | None = None) -> None:
    if name in found:
        return
    if not all(part.isidentifier() for part in name.split(".")):
        raise ExpError(f"{origin} names {name!r}, which is no name of a package")
    spec = _spec(name)
    if spec is None and beside is not None:
        # `exp train` does not look for modules where it is started, as `python -m exp.train` does.
        for folder in (str(beside), str(beside / "src")):
            if PathFinder.find_spec(name.partition(".")[0], [folder]) is not None:
                sys.path.append(folder)  # at the end: it hides nothing
                spec = _spec(name)
                break
    if spec is None:
        raise ExpError(f"{origin} names {name}, and there is no such package: install it, or mend the name")
    places = list(spec.submodule_search_locations or ())
    file = places[0] if places else spec.origin
    if file in (None, "built-in", "frozen"):
        raise ExpError(f"{origin} names {name}, which is built into Python: it cannot be trusted as a package")
    found[name] = Package(name, origin, Path(file) if places else Path(file).parent)


def _spec(name: str) -> Any:
    """Without importing it; of `a.b` the package `a` is imported."""
    try:
        return find_spec(name)
    except ModuleNotFoundError:
        return None
    except Exception as error:  # a parent package that fails while it is imported
        raise ExpError(f"the trusted package {name} cannot be imported: {type(error).__name__}: {error}") from error
