"""What `_target_` may name. A security boundary: a config can come from anyone, what is listed here only from code.

A target is permitted where it stands, one by one: what an option's YAML of exp (or of a trusted package) names at that
place of the config, torch's optimizers and schedules and Optuna's samplers and pruners, and whatever a trusted package
holds (exp.options.project). No config, --config-dir, run folder, table, study or archive adds to it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from exp.errors import ExpError, nearest
from exp.options import project
from exp.options.confdir import conf_dir
from exp.options.project import Package

# Library -> where in a config its classes may stand, and the file whose __all__ lists them.
LIBRARIES = {
    "torch.optim": (("optimizer",), "torch", "optim/__init__.py"),
    "torch.optim.lr_scheduler": (("scheduler",), "torch", "optim/lr_scheduler.py"),
    "optuna.samplers": (("hydra.sweeper.sampler",), "optuna", "samplers/__init__.py"),
    "optuna.pruners": (
        ("hydra.sweeper.pruner", "hydra.sweeper.pruner.wrapped_pruner"),
        "optuna",
        "pruners/__init__.py",
    ),
}
# What Hydra and its plugins name in their own configs.
PLUGINS = {
    "hydra.sweeper": (
        "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
        "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper",
    ),
    "hydra.sweeper.sampler": (
        "hydra_plugins.hydra_optuna_sweeper._impl.create_nsgaii_sampler",
        "hydra_plugins.hydra_optuna_sweeper._impl.create_nsgaiii_sampler",
        "hydra_plugins.hydra_optuna_sweeper.config.raise_motpe_removed",
    ),
    "hydra.launcher": (
        "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
        "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
        "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
    ),
}
# Keys whose value is the dotted name of a function in a trusted package.
FUNCTIONS = ("task.metrics", "model.make", "hydra.sweeper.custom_search_space")
NAMES = ("model.make",)  # of these, the keys that take nothing else
# Groups that exp has no option of: every part is of a trusted package.
OUTSIDE = ("verdict", "view")
PACKAGE_LINE = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)
WAYS = (
    'to use code of your own, trust its package: [tool.exp] trust = ["my_pkg"] in pyproject.toml, EXP_TRUST=my_pkg, '
    f"or its entry point in the group {project.ENTRY_POINTS}"
)


@dataclass(frozen=True)
class Trusted:
    """`places`: place in a config -> target -> whether its option says `_partial_: true`."""

    places: Mapping[str, Mapping[str, bool]]
    packages: tuple[Package, ...]

    def package_of(self, target: str) -> Package | None:
        return next((package for package in self.packages if package.holds(target)), None)

    def at(self, where: str) -> Mapping[str, bool]:
        """Of several options with names of their own (trackers), each place takes what any of them names."""
        return {**self.places.get(where, {}), **self.places.get(f"{where.rpartition('.')[0]}.*", {})}


def trusted() -> Trusted:
    packages = project.packages()
    return Trusted(_places((conf_dir(), *(folder for package in packages for folder in package.conf))), packages)


def packages() -> tuple[str, ...]:
    """Patterns of what trusted packages hold, for Hydra's instantiate()."""
    return tuple(f"{package.name}.*" for package in project.packages())


def whitelist() -> tuple[str, ...]:
    """Every permitted target, for Hydra's instantiate(), which knows no places: `check` has to come first."""
    found = trusted()
    exact = {target for place, targets in found.places.items() if not place.startswith("hydra") for target in targets}
    libraries = {
        f"{library}.{name}" for library in ("torch.optim", "torch.optim.lr_scheduler") for name in _all(library)
    }
    return (*sorted(exact | libraries), *packages())


def check(config: Any, where: str = "") -> None:
    """Walks a resolved config in plain containers. Imports nothing.

    Args:
        config: What stands at `where`: a mapping, a list or a value.
        where: The dotted place of `config`; "" for a whole config.

    Raises:
        ExpError: A target is not permitted where it stands, or a key would change how a part is made.
    """
    _check(trusted(), config, where, None)


def resolve(target: Any, where: str) -> Any:
    """The class or function that `target` names, imported.

    Args:
        target: A dotted name, the value of a `_target_`.
        where: The dotted place of the part in the config, e.g. "optimizer"; or the key that names a function.

    Raises:
        ExpError: It is not permitted at `where`, does not exist, or its package fails while it is imported.
    """
    found = trusted()
    where = where.removesuffix("._target_")
    if where in FUNCTIONS:
        permit_function(target, where)
    else:
        permit(found, target, where, None)
    said = f"{where}={target}" if where in FUNCTIONS else f"{where}._target_={target}"
    package = found.package_of(target)
    try:
        named = _named(target)
    except (ImportError, AttributeError) as error:
        if project.source_of(target) is not None:
            raise ExpError(f"{said} is a module; name a class or a function in it") from None
        what = f"the trusted package {package.name} ({package.origin})" if package else target
        raise ExpError(f"{said}: {what} cannot be imported: {error}") from error
    except Exception as error:  # a user's module runs as it is imported
        raise ExpError(f"{said}: importing it fails: {type(error).__name__}: {error}") from error
    if not callable(named):
        raise ExpError(f"{said} is no class and no function")
    if package is not None:
        home = inspect.getmodule(named)
        if home is None or not _inside(found, home.__name__):
            defined = home.__name__ if home else "no module"
            raise ExpError(
                f"{said} is defined in {defined}, which is not trusted: wrap it in a function of {package.name}"
            )
    return named


def permit(found: Trusted, target: Any, where: str, outer: str | None) -> None:
    """Raises ExpError unless `target` may stand at `where`; `outer` is the target of the part around it."""
    if not isinstance(target, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", target):
        raise ExpError(f"{where}._target_={target!r} must be a dotted name of a class or function")
    here = found.at(where)
    if target in here or _in_library(target, where):
        return
    here_too = bool(here) or where in OUTSIDE
    if found.package_of(target) is not None and (here_too or (outer is not None and found.package_of(outer))):
        return
    said = f"{where}._target_={target}"
    if not here_too:
        raise ExpError(f"{said}: nothing is made from a _target_ here; leave it out")
    ours = target.partition(".")[0] in ("exp", "torch", "optuna")
    hint = nearest(target, [*here, *_library_names(where)]) if ours else ""
    raise ExpError(f"{said} is not trusted{hint}{'' if hint.endswith('?') else ';'} {WAYS}")


def permit_function(target: Any, where: str) -> None:
    """For a key that names a function of the user's own. Raises ExpError unless a trusted package holds it."""
    if not isinstance(target, str) or trusted().package_of(target) is None:
        raise ExpError(f"{where}={target} is not trusted; {WAYS}")


def _check(found: Trusted, node: Any, where: str, outer: str | None) -> None:
    if isinstance(node, list):
        for at, item in enumerate(node):
            _check(found, item, f"{where}.{at}", outer)
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        target = node["_target_"]
        permit(found, target, where, outer)
        for key, value in node.items():
            if re.fullmatch(r"_\w+_", str(key)) and key not in ("_target_", "_partial_"):
                raise ExpError(f"{where}.{key}={value!r}: a part takes its arguments by name; leave {key} out")
        wanted = found.at(where).get(target)
        if wanted is not None and node.get("_partial_", False) is not wanted:
            raise ExpError(
                f"{where}._partial_={node.get('_partial_', False)} does not fit {target}, which is made with "
                f"_partial_={wanted}"
            )
        outer = target
    for key, value in node.items():
        place = f"{where}.{key}" if where else str(key)
        if place in NAMES and value != "???":
            permit_function(value, place)
        _check(found, value, place, outer)


def _in_library(target: str, where: str) -> bool:
    library, _, name = target.rpartition(".")
    return library in LIBRARIES and where in LIBRARIES[library][0] and name in _all(library)


def _library_names(where: str) -> list[str]:
    offering = [library for library, (places, *_) in LIBRARIES.items() if where in places]
    return [f"{library}.{name}" for library in offering for name in _all(library)]


def _inside(found: Trusted, module: str) -> bool:
    return any(module == package.name or package.holds(module) for package in found.packages)


def _named(target: str) -> Any:
    """A module's function or class, or a class's own constructor function."""
    parts = target.split(".")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            continue
        for part in parts[end:]:
            if inspect.ismodule(found) and found.__name__ != name:
                raise AttributeError(f"{found.__name__} is a module that {name} imports, not a part of it")
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(f"there is no module {parts[0]}")


@lru_cache
def _all(library: str) -> frozenset[str]:
    """Names of the classes that a library offers, read from its source: importing it would take seconds."""
    _, package, file = LIBRARIES[library]
    spec = find_spec(package)
    source = Path(spec.submodule_search_locations[0]) / file if spec and spec.submodule_search_locations else None
    if source is None or not source.is_file():
        return frozenset()
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets):
            return frozenset(name for name in ast.literal_eval(node.value) if name[:1].isupper())
    return frozenset()


@lru_cache
def _places(folders: tuple[Path, ...]) -> dict[str, dict[str, bool]]:
    places: dict[str, dict[str, bool]] = {place: dict.fromkeys(names, False) for place, names in PLUGINS.items()}
    for folder in folders:
        for path in sorted(folder.rglob("*.yaml")):
            try:
                text = path.read_text(encoding="utf-8")
                if "_target_" not in text or path.relative_to(folder).parts[0] == "table":
                    continue
                found = list(_written(text, path.relative_to(folder).parent))
            except (UnicodeDecodeError, yaml.YAMLError):  # a package's: composing says what is wrong, if it is chosen
                continue
            for place, target, partial in found:
                places.setdefault(place, {})[target] = partial
    return places


def _written(text: str, group: Path) -> Iterator[tuple[str, str, bool]]:
    """Place, target and `_partial_` of each part in one option's YAML."""
    loaded = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    header = PACKAGE_LINE.search(text)
    package = header[1] if header else ".".join(group.parts)
    if package == "_global_":
        package = ""
    if "." in package and package.partition(".")[0] == group.as_posix():
        package = f"{group}.*"  # trackers: each option has a place of its own

    def walk(node: Any, place: str) -> Iterator[tuple[str, str, bool]]:
        if isinstance(node, Mapping):
            if isinstance(node.get("_target_"), str):
                yield place, node["_target_"], node.get("_partial_", False)
            for key, value in node.items():
                yield from walk(value, f"{place}.{key}" if place else str(key))

    yield from walk(loaded, package)
