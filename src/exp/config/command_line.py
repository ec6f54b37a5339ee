"""What a command line of exp.train asks for, before a config is composed."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from exp.compat.hydra import flags_parser
from exp.config.compose import PRIMARY
from exp.config.grammar import null_choice
from exp.errors import ExpError
from exp.options.arguments import listed
from exp.options.confdir import groups, root_keys

SHOWING = ("help", "hydra_help", "cfg", "info", "shell_completion")
MULTIRUN = "hydra.mode=MULTIRUN"


@dataclass(frozen=True)
class Command:
    """`words` are overrides. `saved` is the run whose config is the base, in place of conf/train.yaml's."""

    words: tuple[str, ...]
    multirun: bool = False
    config_dir: Path | None = None
    config_name: str = PRIMARY
    saved: Path | None = None
    detach: bool = False  # leave the sweep to the background
    goes_on: bool = False  # with the run in `saved`, in its folder
    shows: Namespace | None = None  # --cfg, --help, --info and the like: prints and ends


def read(argv: Sequence[str]) -> Command:
    """Raises ExpError for flags that do not exist or do not go together, and for a run that cannot be gone on with."""
    parser = flags_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    parser.add_argument("--detach", action="store_true")
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
        detach=given.detach,
    )
    if given.detach and not command.multirun:
        raise ExpError("--detach leaves a search or a table to the background: add --multirun hydra/sweeper=study")
    shown = [flag for flag in SHOWING if getattr(given, flag)]
    if len(shown) + (given.multirun or given.run) > 1:
        flags = [*shown, *(flag for flag in ("multirun", "run") if getattr(given, flag))]
        raise ExpError(f"{' and '.join('--' + flag.replace('_', '-') for flag in flags)} do not go together: keep one")
    if not shown:
        return command
    if given.shell_completion and "COMP_LINE" not in os.environ and value_of(words, "query") is not None:
        raise ExpError('a shell asks this itself, after: eval "$(python -m exp.train --shell-completion install=bash)"')
    return replace(command, shows=given)


def _refuse(message: str) -> NoReturn:
    raise ExpError(f"{message}; python -m exp.train --hydra-help lists the flags")


def _check_words(words: Sequence[str]) -> None:
    needed = {*groups(), *root_keys()} - {"experiment", "sweep", "recipe", "table"}
    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        if key in groups() and (text := word.partition("=")[2]).startswith("["):
            # A tracker or a callback has one place in the config: two of a kind would be one, without a word.
            names = listed(text)
            for name in names:
                if names.count(name) > 1:
                    raise ExpError(f"{word} names {name} {names.count(name)} times: name it once")
        if word.startswith("~") and key in needed:
            raise ExpError(f"{word}: a run needs {key}; leave {word} out")
        if key == "hydra.searchpath":
            raise ExpError(f"{word}: add a folder of options with --config-dir, or [tool.exp] conf in pyproject.toml")
        if key == "hydra.mode" and word != MULTIRUN:
            raise ExpError(f"{word}: a sweep is asked for with --multirun, a run without it")


def value_of(words: Sequence[str], key: str) -> str | None:
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
