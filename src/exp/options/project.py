"""The user's own code and configs: the project around the working directory, and the packages that are trusted.

Only installed or local code says what is trusted: a package by the entry point group `exp.parts`, the pyproject.toml of
the working directory (or above, up to the repository's root) by `[tool.exp] trust`, the environment by EXP_TRUST.
"""

from __future__ import annotations

import logging
import os
import sys
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from exp.errors import ExpError, nearest

log = logging.getLogger(__name__)
ENTRY_POINTS = "exp.parts"
KEYS = ("trust", "conf", "tracker", "outputs", "multirun")
# A process that works in another folder (exp.reproduce, a worker) keeps the project it was started from.
PROJECT = "EXP_PROJECT"
NONE = "none"


@dataclass(frozen=True)
class Package:
    """A trusted package. `origin` says in words what trusts it.

    `folders` are where its files lie: one, for a namespace package perhaps several; none for a module of one `file`.
    `of_project`: [tool.exp] conf of the project that the package lies in, as after an editable install.
    """

    name: str
    origin: str
    folders: tuple[Path, ...]
    file: Path | None = None
    of_project: Path | None = None

    @property
    def home(self) -> Path:
        """A folder that git may know."""
        return self.file.parent if self.file else self.folders[0]

    @property
    def conf(self) -> list[Path]:
        """Its folders of options."""
        return [folder / "conf" for folder in self.folders if (folder / "conf").is_dir()]

    @property
    def roots(self) -> list[Path]:
        """Where Python finds it: entries of sys.path. None for a folder of another name, which a finder maps."""
        if self.file:
            return [self.file.parents[self.name.count(".")]]
        parts = Path(*self.name.split("."))
        ours = [folder for folder in self.folders if folder.parts[-len(parts.parts) :] == parts.parts]
        return [folder.parents[len(parts.parts) - 1] for folder in ours]

    def holds(self, target: str) -> bool:
        return target.startswith(f"{self.name}.")


@dataclass(frozen=True)
class Project:
    """What `[tool.exp]` of a pyproject.toml says. `folder` is None where there is none.

    Its other keys are defaults of this project: `tracker` as on the command line, folders as absolute paths.
    """

    folder: Path | None
    trust: tuple[str, ...] = ()
    conf: Path | None = None
    tracker: str | None = None
    outputs: Path | None = None
    multirun: Path | None = None


def project() -> Project:
    """The project of the working directory, or the one that EXP_PROJECT names. Raises ExpError for a wrong value."""
    return _project(os.environ.get(PROJECT), str(Path.cwd()))


def packages() -> tuple[Package, ...]:
    """Every trusted package, found but not imported. Raises ExpError for one that is not there."""
    return _packages(project(), os.environ.get("EXP_TRUST", ""))


def conf_folders() -> list[Path]:
    """The project's own configs, and conf/ of each trusted package that has one."""
    own = project().conf
    found = packages()
    of_projects = [package.of_project for package in found if package.of_project]
    of_packages = [folder for package in found for folder in package.conf]
    return list(dict.fromkeys([*([own] if own else []), *of_projects, *of_packages]))


def homes() -> list[Path]:
    """Where this project's runs and sweeps lie: [tool.exp] outputs and multirun, or folders of these names here."""
    found = project()
    return [found.outputs or Path("outputs"), found.multirun or Path("multirun")]


def environment() -> dict[str, str]:
    """Variables for a process that is to trust the same, whatever folder it works in."""
    found = project().folder
    given = [Path(entry).absolute() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    entries = dict.fromkeys(map(str, [*given, *(root for package in packages() for root in package.roots)]))
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
        state = path.stat()
    except OSError:
        return None
    table = _table(path, state.st_mtime_ns, state.st_size)
    return None if table is None else _checked(path, table)


@lru_cache(maxsize=64)
def _table(path: Path, mtime_ns: int, size: int) -> Any:
    """[tool.exp] of the file in that state; None where it has none. Every check of an option asks, so it is kept."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    if "tool" not in text or "exp" not in text:
        return None
    try:
        return tomllib.loads(text).get("tool", {}).get("exp")
    except tomllib.TOMLDecodeError as error:
        raise ExpError(f"{path} is no valid TOML: {error}") from None


def _checked(path: Path, table: Any) -> Project:
    where = f"{path}, [tool.exp]"
    if not isinstance(table, dict):
        raise ExpError(f"{where} must be a table with the keys {' and '.join(KEYS)}")
    for key in table:
        if key not in KEYS:
            raise ExpError(f"{where}: {key} is no such key{nearest(key, KEYS)}")
    trust, conf, tracker = table.get("trust", []), table.get("conf"), table.get("tracker")
    if not isinstance(trust, list) or not all(isinstance(name, str) and name for name in trust):
        raise ExpError(f'{where}: trust={trust!r} must be a list of package names, e.g. trust = ["my_pkg"]')
    if conf is not None and (not isinstance(conf, str) or not (path.parent / conf).is_dir()):
        raise ExpError(f'{where}: conf={conf!r} must be a folder beside the file, e.g. conf = "conf"')
    names = [tracker] if isinstance(tracker, str) else tracker
    if names is not None and (not isinstance(names, list) or not all(_is_word(name) for name in names)):
        raise ExpError(f'{where}: tracker={tracker!r} must be a name or a list of names, e.g. tracker = "none"')
    for key in ("outputs", "multirun"):
        if key in table and (not isinstance(table[key], str) or not table[key]):
            raise ExpError(f'{where}: {key}={table[key]!r} must be a folder, e.g. {key} = "{key}"')
    folder = path.parent.resolve()
    return Project(
        folder,
        tuple(trust),
        conf=(folder / conf).resolve() if conf else None,
        tracker=None if names is None else f"[{','.join(names)}]" if isinstance(tracker, list) else names[0],
        outputs=folder / table["outputs"] if "outputs" in table else None,
        multirun=folder / table["multirun"] if "multirun" in table else None,
    )


def _is_word(name: Any) -> bool:
    return isinstance(name, str) and name.replace("-", "_").isidentifier()


@lru_cache
def _packages(of: Project, listed: str) -> tuple[Package, ...]:
    found: dict[str, Package] = {}
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        origin = f"entry point {entry.name} of {entry.dist.name if entry.dist else 'a package'}"
        try:
            _add(found, entry.module, origin)
        except ExpError as error:  # whoever installed it may not be who runs this
            log.warning("%s; its parts are left out", error)
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
    if name.partition(".")[0] in ("exp", "hydra_plugins"):
        raise ExpError(f"{origin} names {name}, which is exp's own; name the package that holds your parts")
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
    # An editable install names a place that is no folder for a namespace package.
    places = tuple(Path(place) for place in spec.submodule_search_locations or () if Path(place).is_dir())
    if not places and spec.origin in (None, "built-in", "frozen"):
        raise ExpError(f"{origin} names {name}, which is built into Python: it cannot be trusted as a package")
    file = None if places else Path(str(spec.origin))
    found[name] = Package(name, origin, places, file, _conf_around(name, places))


def _conf_around(name: str, places: tuple[Path, ...]) -> Path | None:
    """The options of the project that has the package and trusts it; they lie beside it, not in it."""
    above = (folder for place in places for folder in place.parents[:2])
    of = next((made for folder in above if (made := _read(folder / "pyproject.toml")) and name in made.trust), None)
    return of.conf if of else None


def _spec(name: str) -> ModuleSpec | None:
    """As importlib.util.find_spec, but of `a.b` the package `a` is not imported."""
    spec: ModuleSpec | None = None
    for end, _ in enumerate(parts := name.split("."), 1):
        full, path = ".".join(parts[:end]), None if spec is None else spec.submodule_search_locations
        if end > 1 and path is None:  # `a` is a module, and has nothing inside
            return None
        spec = next((made for finder in sys.meta_path if (made := _asked(finder, full, path))), None)
        if spec is None:
            return None
    return spec


def source_of(module: str) -> Path | None:
    """The file of a module's Python source, without importing it; None where there is none."""
    spec = _spec(module)
    path = Path(spec.origin) if spec is not None and spec.origin else None
    return path if path is not None and path.suffix == ".py" else None


def _asked(finder: Any, name: str, path: Any) -> ModuleSpec | None:
    find = getattr(finder, "find_spec", None)
    return find(name, path) if find else None
