"""From words to a config: the one way, for every command. Nothing heavy is imported, nothing is checked, nothing made.

The search path is exp's conf/, the project's ([tool.exp] conf), conf/ of each trusted package, and --config-dir. Two
options with one name are refused where that name is chosen; only exp's own keep theirs.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from exp.compat.hydra_repository import parse_once
from exp.config.explain import explained, while_composing
from exp.config.grammar import literal
from exp.errors import ExpError, nearest
from exp.options import project
from exp.options.confdir import conf_dir
from exp.options.project import conf_folders

log = logging.getLogger(__name__)
PRIMARY = "train"
# Groups that train.yaml calls optional, so that Hydra takes no notice of an option that is not there.
OPTIONAL = ("recipe", "recipe/schedule")
PRESETS = ("experiment", "sweep")


def search_path(config_dir: Path | None = None) -> list[Path]:
    """Every folder that options are read from, in order.

    Args:
        config_dir: What --config-dir names.

    Raises:
        ExpError: `config_dir` is no folder.
    """
    folders = [conf_dir(), *conf_folders()]
    if config_dir is not None:
        if not config_dir.is_dir():
            raise ExpError(f"--config-dir {config_dir}: there is no such folder")
        folders.append(config_dir.resolve())
    return list(dict.fromkeys(folders))


def compose(
    words: Sequence[str],
    *,
    config_dir: Path | None = None,
    name: str = PRIMARY,
    saved: Path | None = None,
    multirun: bool = False,
) -> DictConfig:
    """The config that `words` give, with Hydra's own node.

    Args:
        words: Overrides in Hydra's grammar, no flags.
        config_dir: What --config-dir names.
        name: The primary config, another one with --config-name.
        saved: A run folder whose saved config is the base, in place of conf/train.yaml.
        multirun: Compose what all runs of a sweep share; values that are swept keep their default.

    Raises:
        ExpError: Hydra cannot compose it; one line says why, and the mend.
    """
    with composer(config_dir=config_dir, name=name, saved=saved) as made:
        return made.compose(words, multirun=multirun)


@contextmanager
def composer(*, config_dir: Path | None = None, name: str = PRIMARY, saved: Path | None = None) -> Iterator[Composer]:
    """Composes several configs over one search path; a sweep's jobs are composed while it is open."""
    path = search_path(config_dir)
    if saved is not None:
        _check_saved(saved / ".hydra" / "config.yaml")
        path.insert(0, saved / ".hydra")
        name = "config"
    with initialize_config_search_path([f"file://{folder}" for folder in path], job_name="train"):
        yield Composer(parse_once(GlobalHydra.instance().config_loader()), name, saved is not None, tuple(path))


@dataclass(frozen=True)
class Composer:
    loader: ConfigLoader
    name: str  # of the primary config
    saved: bool  # the primary config is what a run saved, without Hydra's node
    path: tuple[Path, ...] = ()  # the folders of options

    def compose(self, words: Sequence[str], multirun: bool = False) -> DictConfig:
        """As the function of that name; sets the config that `${hydra:...}` reads."""
        # A saved config has no Hydra node, so what train.yaml says there is said again.
        again = ["hydra.job.name=train", "hydra/job_logging=none", "hydra/hydra_logging=none"] if self.saved else []
        mode = ["hydra.mode=MULTIRUN"] if multirun else []
        words = self.with_defaults(words)
        self.check_options(words)
        with self.explaining(words):
            kind = RunMode.MULTIRUN if multirun else RunMode.RUN
            cfg = self.loader.load_configuration(self.name, [*again, *words, *mode], kind)
        self.check_twice(cfg.hydra.runtime.choices)
        for key, folder in (("run", project.project().outputs), ("sweep", project.project().multirun)):
            if folder is not None:
                _move(cfg.hydra[key], folder)
        HydraConfig.instance().set_config(cfg)
        return cfg

    def with_defaults(self, words: Sequence[str]) -> list[str]:
        """The project's own choice first ([tool.exp] tracker), where neither the words nor a preset make one."""
        chosen = project.project().tracker
        if self.saved or chosen is None or any(word.startswith("tracker=") for word in words):
            return list(words)
        given = [word.lstrip("+").partition("=") for word in words]
        presets = [(group, name) for group, _, names in given if group in PRESETS for name in names.split(",")]
        if any(self._overrides_tracker(group, name) for group, name in presets):
            return list(words)
        return [f"tracker={chosen}", *words]

    def _overrides_tracker(self, group: str, name: str, seen: tuple[str, ...] = ("_self_",)) -> bool:
        """Whether the preset, or one that it is made of, has `override /tracker` among its defaults."""
        path = next((path for folder in self.path if (path := folder / group / f"{name}.yaml").is_file()), None)
        if path is None:
            return False
        try:
            held = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):  # composing says what is wrong with it
            return False
        for entry in (held.get("defaults") or []) if isinstance(held, dict) else []:
            if isinstance(entry, dict) and "override /tracker" in entry:
                return True
            further = isinstance(entry, str) and entry not in (*seen, name)
            if further and self._overrides_tracker(group, entry, (*seen, name)):
                return True
        return False

    def compose_job(self, master: DictConfig, words: Sequence[str]) -> DictConfig:
        """One run of the sweep whose config is `master`, as its launcher will compose it."""
        self.check_options(words)
        with self.explaining(words):
            cfg = self.loader.load_sweep_config(master, list(words))
        self.check_twice(cfg.hydra.runtime.choices)
        HydraConfig.instance().set_config(cfg)
        return cfg

    @contextmanager
    def explaining(self, words: Sequence[str]) -> Iterator[None]:
        """Turns what Hydra and OmegaConf raise into an ExpError of one line."""
        try:
            yield
        except Exception as error:
            if isinstance(error, ExpError) or not while_composing(error):
                raise
            raise explained(error, words, self) from error

    def check_options(self, words: Sequence[str]) -> None:
        """Hydra finds no fault with an option of an optional group that is not there."""
        for word in words:
            group, _, option = word.lstrip("+").partition("=")
            if group in OPTIONAL and option not in ("null", "") and re.fullmatch(r"[\w-]+", option):
                known = self.loader.get_group_options(group, ObjectType.CONFIG)
                if option not in known:
                    raise ExpError(f"{word}: no such option{nearest(option, known)}")

    def check_twice(self, choices: Mapping[str, Any]) -> None:
        """Two packages may not both bring the option that is chosen. Exp's own stays what its name says.

        Raises ExpError, naming both files.
        """
        for group, chosen in choices.items():
            for option in re.findall(r"[\w-]+", str(chosen)):
                found = [folder for folder in self.path if (folder / group / f"{option}.yaml").is_file()]
                if len(found) < 2:
                    continue
                files = [str(folder / group / f"{option}.yaml") for folder in found]
                if found[0] != conf_dir():
                    raise ExpError(f"{group}={option} is in {' and in '.join(files)}: rename one of them")
                _told_once(f"{group}={option} is exp's own, not {files[1]}; give that file another name to choose it")

    def groups(self) -> list[str]:
        """The groups of the whole search path."""
        return [group for group in self.loader.list_groups("") if group != "hydra"]


def _move(node: DictConfig, folder: Path) -> None:
    """`outputs/<time>` as `<folder>/<time>`; a name of the user's own stays."""
    written: str = OmegaConf.to_container(node, resolve=False)["dir"]  # type: ignore[index,assignment,call-overload]
    default, slash, rest = written.partition("/")
    if slash and default in ("outputs", "multirun"):
        with read_write(node), open_dict(node):
            node.dir = f"{literal(folder)}/{rest}"


@lru_cache
def _told_once(text: str) -> None:
    log.warning("%s", text)


def composed_from() -> list[str]:
    """The folders that the current job's config was composed from; below the working folder as relative paths."""
    if not HydraConfig.initialized():
        return []
    folders = [source.path for source in HydraConfig.get().runtime.config_sources if source.schema == "file"]
    here = Path.cwd()
    return [os.path.relpath(folder) if Path(folder).is_relative_to(here) else folder for folder in folders]


def config_dir_flag(sources: Sequence[str]) -> list[str]:
    """The words of --config-dir for a config that was composed from `sources`, as `composed_from` has them."""
    known = {str(folder) for folder in search_path()}
    # Those of structured configs have no place; a run's own is there where it is repeated.
    places = [Path(source) for source in sources if source and Path(source).name != ".hydra"]
    found = [str(place) for place in places if place.is_dir() and str(place.resolve()) not in known]
    return ["--config-dir", found[-1]] if found else []


def composed_of() -> dict[str, Any]:
    """The current job's options by group, and the words of its command line, a sweep's choice included."""
    if not HydraConfig.initialized():
        return {}
    node = HydraConfig.get()
    chosen = {
        group: str(name) for group, name in node.runtime.choices.items() if name and not group.startswith("hydra")
    }
    return {"options": chosen, "words": list(node.overrides.task)}


def in_study() -> bool:
    """Whether the current job is a trial."""
    if not HydraConfig.initialized():
        return False
    node = HydraConfig.get()
    return node.mode == RunMode.MULTIRUN and node.runtime.choices.get("hydra/sweeper") == "study"


def own(cfg: DictConfig) -> DictConfig:
    """Without Hydra's node."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Resolved and without Hydra's node, as a run records its config."""
    return OmegaConf.to_container(own(cfg), resolve=True)  # type: ignore[return-value]


def _check_saved(path: Path) -> None:
    """A saved config is data: it may not choose options, and has no Hydra node."""
    try:
        text = path.read_text(encoding="utf-8")
        held = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ExpError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(held, dict):
        raise ExpError(f"{path} is no config: it holds {type(held).__name__}, not keys and values")
    package = re.search(r"^#\s*@package", text, re.MULTILINE)
    edited = [package[0]] if package else [key for key in ("defaults", "hydra") if key in held]
    if edited:
        raise ExpError(f"{path} holds {edited[0]!r}, which exp never saves: it was edited, and is not read")
