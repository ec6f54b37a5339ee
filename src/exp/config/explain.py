"""Hydra's errors while it composes a config, said in one message that names the mend."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Protocol

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from yaml import YAMLError

from exp.config.launchers import package_missing
from exp.errors import ExpError, nearest
from exp.options.confdir import conf_dir, groups
from exp.options.other_names import known_as

COMPOSING = (HydraException, OmegaConfBaseException, YAMLError)


class Composes(Protocol):
    """What has composed a config (exp.config.compose.Composer): it knows the keys and groups that were meant."""

    @property
    def loader(self) -> ConfigLoader: ...

    @property
    def name(self) -> str:
        """Of the primary config."""
        ...

    def groups(self) -> list[str]: ...


def while_composing(error: BaseException) -> bool:
    """Whether Hydra or its parser raised `error`, and not a line of ours that it called."""
    if isinstance(error, COMPOSING):
        return True
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and str(last.tb_frame.f_globals.get("__name__")).startswith(("hydra.", "omegaconf."))


def explained(error: BaseException, words: Sequence[str], composer: Composes | None = None) -> ExpError:
    """What Hydra found, in one line.

    Args:
        error: One for which `while_composing` holds.
        words: The command line's overrides.
        composer: What composed them, for keys and groups that are close.
    """
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    if isinstance(error, MissingConfigException):
        return _no_such_option(error, composer)
    if isinstance(error, YAMLError):
        return ExpError(f"a config file is no valid YAML: {' '.join(str(error).split())}")
    wrong = re.match(r"Could not override '([^']+)'", str(error))
    if wrong:
        return _no_such_key(wrong[1], words, composer)
    if "Config group override must be" in str(error):
        return _no_option(words)
    several = re.search(r"'([^']*=[^']*)'", str(error)) if "--multirun" in str(error) else None
    if several:
        return _a_sweep(several[1])
    return unresolved(error) or ExpError(_flat(error))


def unresolved(error: BaseException) -> ExpError | None:
    """For a value that cannot be filled in: its key and why. None for every other error."""
    for one in (error, error.__cause__):
        if isinstance(one, InterpolationResolutionError):
            why = str(one).splitlines()[0].rpartition("while resolving interpolation: ")[2].strip('"')
            return ExpError(f"{one.full_key or 'the config'}: {why}")
    return None


def _unreadable(error: OverrideParseException) -> ExpError:
    causes = [line for line in error.message.splitlines() if line and not line.startswith(("Error when", "See "))]
    if "=" not in error.override:
        return ExpError(f"{error.override!r} is no override: write key=value, e.g. optimizer.lr=2e-5")
    return ExpError(
        f"cannot read the override {error.override!r}{': ' + causes[0] if causes else ''}. "
        f"Quote a value that holds spaces, letters beyond ASCII or one of = , {{ }} [ ] ( ): \"key='the value'\""
    )


def _no_such_option(error: MissingConfigException, composer: Composes | None) -> ExpError:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    options = error.options
    if options is None and composer is not None and group in composer.groups():  # one of a list: tracker=[a,b]
        options = composer.loader.get_group_options(group)
    if group == "hydra/launcher" and (missing := package_missing(option)) is not None:
        return missing
    if not group or options is None:
        return ExpError(str(error).splitlines()[0])
    known = [name for name in options if not name.startswith("_")]
    if not known:
        return ExpError(f"{group}={option}: no such option; the group {group} has none")
    return ExpError(f"{group}={option}: no such option{nearest(option, known)}{_listing(option, known)}")


def _no_option(overrides: Sequence[str]) -> ExpError:
    """Hydra does not say for which group it was given no name."""
    for word in overrides:
        group, _, option = word.lstrip("+").partition("=")
        known = sorted(file.stem for file in (conf_dir() / group).glob("*.yaml")) if group in groups() else []
        if known and option not in known:
            return ExpError(f"{word}: a run needs one option of this group{nearest('', known) or _listing('', known)}")
    return ExpError("a group is given something else than the name of one of its options")


def _listing(option: str, known: Sequence[str]) -> str:
    """All options, where `nearest` has named only some of them."""
    close = get_close_matches(option, known, n=1, cutoff=0.5)
    if not close and len(known) <= 12:
        return ""
    return f"{' All' if close else '; all'} of them: {', '.join(sorted(known))}"


def _no_such_key(wrong: str, words: Sequence[str], composer: Composes | None) -> ExpError:
    if (elsewhere := known_as(wrong)) is not None:
        return ExpError(f"{wrong}: no such key{elsewhere}")
    known = {*known_keys(words, composer), *composer.groups()} if composer else set()
    return ExpError(f"{wrong}: no such key{near_key(wrong, known)}")


def near_key(wrong: str, known: set[str]) -> str:
    """As `nearest`, but the last part of a dotted key counts as well: `lr` finds `optimizer.lr`."""
    leaf = wrong.rpartition(".")[2]
    same_leaf = sorted(key for key in known if "." in key and key.rpartition(".")[2] == leaf)
    if same_leaf:
        return "; did you mean " + " or ".join(repr(key) for key in same_leaf[:3]) + "?"
    return nearest(wrong, known) or "; python -m exp.train --cfg job lists every key"


def known_keys(words: Sequence[str], composer: Composes) -> set[str]:
    """Dotted keys of the config that the group choices in `words` give; empty if even that fails."""
    names = set(composer.groups())
    choices = [word for word in words if word.partition("=")[0].lstrip("+~") in names and "," not in word]
    try:
        cfg = composer.loader.load_configuration(composer.name, choices, RunMode.RUN)
    except Exception:  # this only serves a better message
        return set()
    own = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    return set(_dotted(OmegaConf.to_container(own, resolve=False)))


def _dotted(node: Any, prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if not str(key).startswith("_"):
            yield f"{prefix}{key}"
        if isinstance(value, dict | DictConfig):
            yield from _dotted(value, f"{prefix}{key}.")


def _a_sweep(word: str) -> ExpError:
    key, _, value = word.partition("=")
    one = f", or write {key}=[{value}] for one list" if "(" not in value else ""
    return ExpError(f"{word} names several values: add --multirun to run each of them{one}")


def _flat(error: BaseException) -> str:
    """Hydra's words and their cause's, without the lines that name Python types."""
    texts = [str(error)]
    if error.__cause__ is not None:
        texts.append(str(error.__cause__))
    lines = [line.strip() for text in texts for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith(("object_type=", "reference_type=", "full_key:"))]
    return ". ".join(dict.fromkeys(kept)) or repr(error)
