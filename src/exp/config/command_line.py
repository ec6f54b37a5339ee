"""What a command line of exp.train asks for, before a config is composed; and paths in Hydra's grammar."""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from exp.compat.hydra import flags_parser
from exp.config.compose import PRIMARY, compose, plain
from exp.config.confdir import groups, root_keys
from exp.distributed import ranks
from exp.errors import ExpError

TIME = "${now:"  # in the name of an output folder: the folder is ours to number
AUTO = "auto"
SHOWING = ("help", "hydra_help", "cfg", "info", "shell_completion")
MULTIRUN = "hydra.mode=MULTIRUN"
CHOICE = re.compile(r"([^=]+)=\s*choice\((.*)\)\s*")


@dataclass(frozen=True)
class Command:
    """`words` are overrides. `saved` is the run whose config is the base, in place of conf/train.yaml's."""

    words: tuple[str, ...]
    multirun: bool = False
    config_dir: Path | None = None
    config_name: str = PRIMARY
    saved: Path | None = None
    goes_on: bool = False  # with the run in `saved`, in its folder
    shows: Namespace | None = None  # --cfg, --help, --info and the like: prints and ends


def read(argv: Sequence[str]) -> Command:
    """Raises ExpError for flags that do not exist or do not go together, and for a run that cannot be gone on with."""
    parser = flags_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    given = parser.parse_intermixed_args(list(argv))
    for flag, mend in (
        ("config_path", "add a folder of options with --config-dir"),
        ("experimental_rerun", "run it again with python -m exp.reproduce <run folder>"),
    ):
        if getattr(given, flag) is not None:
            raise ExpError(f"--{flag.replace('_', '-')} is not taken here: {mend}")
    words = tuple(map(null_choice, given.overrides))
    _check_words(words)
    command = Command(
        words=tuple(word for word in words if word != MULTIRUN),
        multirun=given.multirun or MULTIRUN in words,
        config_dir=Path(given.config_dir) if given.config_dir else None,
        config_name=given.config_name or PRIMARY,
    )
    shown = [flag for flag in SHOWING if getattr(given, flag)]
    if len(shown) + (given.multirun or given.run) > 1:
        flags = [*shown, *(flag for flag in ("multirun", "run") if getattr(given, flag))]
        raise ExpError(f"{' and '.join('--' + flag.replace('_', '-') for flag in flags)} do not go together: keep one")
    if not shown:
        return _resumed(command)
    if given.shell_completion and "COMP_LINE" not in os.environ and _value(words, "query") is not None:
        raise ExpError('a shell asks this itself, after: eval "$(python -m exp.train --shell-completion install=bash)"')
    given.overrides = list(command.words)
    return replace(command, shows=given)


def _refuse(message: str) -> NoReturn:
    raise ExpError(f"{message}; python -m exp.train --hydra-help lists the flags")


def _check_words(words: Sequence[str]) -> None:
    needed = {*groups(), *root_keys()} - {"experiment", "sweep", "recipe", "table"}
    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        if word.startswith("~") and key in needed:
            raise ExpError(f"{word}: a run needs {key}; leave {word} out")
        if key == "hydra.searchpath":
            raise ExpError(f"{word}: add a folder of options with --config-dir, or [tool.exp] conf in pyproject.toml")
        if key == "hydra.mode" and word != MULTIRUN:
            raise ExpError(f"{word}: a sweep is asked for with --multirun, a run without it")


def _resumed(command: Command) -> Command:
    """`resume=<run or checkpoint>` takes the saved config and the run's folder, `repeat=<run>` the config alone."""
    resume, repeat = _value(command.words, "resume"), _value(command.words, "repeat")
    if repeat is not None:
        words = tuple(word for word in command.words if not word.startswith("repeat="))
        return replace(command, words=words, saved=run_folder_of(repeat, "repeat"))
    if resume is None:
        return command
    if command.multirun:
        raise ExpError(
            f"resume={resume} goes on with one run: leave --multirun out. A sweep with hydra/sweeper=study goes on by "
            f"itself when the same command is given again"
        )
    if resume == AUTO:
        # One process looks: a moment later the run counts as running.
        found = ranks.current.get().decide("resume", lambda: str(_newest_interrupted(command) or ""))
        if not found:
            return command
        free = tuple(_again(word) for word in command.words if _changes_no_number(word))
        return replace(command, words=(f"resume={quoted(Path(found))}", *free), saved=Path(found), goes_on=True)
    folder = run_folder_of(resume, "resume")
    for word in command.words:
        key = word.partition("=")[0].lstrip("+~")
        if "=" in word and key in groups():
            raise ExpError(
                f"{word} cannot change a run that goes on: {folder} keeps the parts it was started with. "
                f"Leave it out, or start a new run without resume"
            )
        if key.startswith("hydra.run"):
            raise ExpError(f"{word}: a run that goes on stays in its folder, {folder}; leave it out")
    words = (
        f"resume={quoted(Path(resume).expanduser().resolve())}",
        *(word for word in command.words if not word.startswith("resume=")),
    )
    return replace(command, words=words, saved=folder, goes_on=True)


def _value(words: Sequence[str], key: str) -> str | None:
    """The last value of `key`; None where it is not given, or null."""
    given = [word for word in words if word.startswith(f"{key}=")]
    if not given:
        return None
    text = given[-1].partition("=")[2]
    try:
        value = OverridesParser.create().parse_override(given[-1]).value()
    except HydraException:
        value = text  # a path with signs of Hydra's grammar
    if value is None or text == "":
        return None
    return value.replace("\\${", "${") if isinstance(value, str) else text  # as `literal` writes it


def _newest_interrupted(command: Command) -> Path | None:
    """The newest run below outputs/ that the command would repeat and that was stopped before its end."""
    from exp.training.resume import interrupted_run

    cfg = compose(command.words, config_dir=command.config_dir)
    root = Path(written_dir(cfg, "run").partition(TIME)[0])
    found = interrupted_run(plain(cfg), root) if root.is_dir() else None
    return found.resolve() if found else None


def _changes_no_number(word: str) -> bool:
    """What the run that was found does not say itself: the other words made its condition, so its config holds them."""
    from exp.training.resume import FREE

    key = word.partition("=")[0].lstrip("+")
    return key.partition(".")[0] in FREE and key != "resume" and key not in groups() and not word.startswith("~")


def _again(word: str) -> str:
    """A key that was added with + stands in the saved config already."""
    return f"++{word.lstrip('+')}" if word.startswith("+") else word


def run_folder_of(given: str, word: str) -> Path:
    """The run folder that `given` is or lies in (a checkpoint), absolute.

    Args:
        given: What the user wrote.
        word: Of which override, for messages.

    Raises:
        ExpError: There is no such folder, or it is no part of a run.
    """
    try:
        path = Path(given).expanduser().resolve()
        there = path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # ~nosuchuser, a name that is too long, a loop of links
        raise ExpError(f"{word}={given}: cannot be looked at: {error}") from None
    if not there:
        raise ExpError(f"{word}={given}: no such folder; give a run folder (it holds run.json) or a checkpoint in one")
    for folder in (path, *path.parents[:2]):
        if (folder / "run.json").exists() and (folder / ".hydra" / "config.yaml").exists():
            return folder
    if (path / ".hydra").is_dir():
        raise ExpError(
            f"{word}={given}: the run was ended before it wrote run.json, so there is nothing to go on with; start it "
            f"again by its own command (hydra.run.dir={path} may stay as it is)"
        )
    raise ExpError(f"{word}={given}: neither a run folder nor a checkpoint in one (no run.json beside .hydra there)")


def quoted(path: Path | str) -> str:
    """A path or address as Hydra's override grammar takes it, whatever characters it has."""
    return QuotedString(literal(path), Quote.single).with_quotes()


def literal(path: Path | str) -> str:
    """The path as a config value in which nothing is interpolated."""
    return str(path).replace("${", "\\${")


def null_choice(word: str) -> str:
    """`key=choice(null,1)` as `key=null,1`, which is the same: Hydra's functions take no null."""
    found = CHOICE.fullmatch(word)
    return f"{found[1]}={found[2]}" if found and re.search(r"(^|,)\s*null\s*(,|$)", found[2]) else word


def written_dir(config: DictConfig, kind: str) -> str:
    """The folder's name as the YAML has it, before the time is filled in."""
    node: Any = OmegaConf.to_container(config.hydra[kind], resolve=False)
    return node["dir"]
