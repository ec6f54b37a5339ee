"""What may stand next on a command line, for shells. Reads folders and YAMLs; imports and composes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from exp.options.confdir import conf_dir, root_keys
from exp.options.project import conf_folders, homes

FLAGS = ("--multirun", "--config-dir", "--cfg", "--help")
DEEPEST = 3  # folders below outputs/ and multirun/ in which a run may lie
MOST = 200  # run folders that are offered, the newest


def of_config(words: Sequence[str], word: str) -> list[str]:
    """Options, keys and values for a command that composes a config.

    Args:
        words: The words before.
        word: What has been typed of the next one.
    """
    key, equals, typed = word.partition("=")
    groups = _groups()
    if equals:
        front = typed.rpartition(",")[0]
        front = f"{key}={front}," if front else f"{key}="
        if key in groups:
            return _fitting((f"{front}{name}" for name in _options(key)), word)
        if key in ("resume", "repeat"):
            return _fitting((f"{key}={run}" for run in runs()), word)
        if isinstance(_values(words).get(key), bool):
            return _fitting((f"{key}={value}" for value in ("true", "false")), word)
        return []
    keys = [f"{name}=" for name in (*groups, *_values(words), "resume")]
    return _fitting([*keys, *(FLAGS if word.startswith("-") else ())], word)


def runs() -> list[str]:
    """Run folders below the project's homes, the newest first."""
    found: list[Path] = []
    for home in homes():
        for depth in range(1, DEEPEST + 1):
            found += [path.parent for path in home.glob("/".join(["*"] * depth) + "/run.json")]
    newest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:MOST]
    here = Path.cwd()
    return [os.path.relpath(path) if path.absolute().is_relative_to(here) else str(path) for path in newest]


def _groups() -> list[str]:
    folders = [path for folder in _folders() for path in folder.iterdir() if path.is_dir()]
    return sorted({path.name for path in folders if any(path.glob("*.yaml"))})


def _folders() -> list[Path]:
    return list(dict.fromkeys([conf_dir(), *conf_folders()]))


def _options(group: str) -> list[str]:
    return sorted({path.stem for folder in _folders() for path in (folder / group).glob("*.yaml")})


def _values(words: Sequence[str]) -> dict[str, Any]:
    """Dotted key -> value as its YAML has it, of the settings and of the options that are chosen."""
    train = _yaml(conf_dir() / "train.yaml")
    values: dict[str, Any] = {key: train[key] for key in root_keys()}
    chosen = {
        group: option for entry in train["defaults"] if isinstance(entry, dict) for group, option in entry.items()
    }
    chosen |= dict(word.split("=", 1) for word in words if "=" in word)
    for group, option in chosen.items():
        if isinstance(option, str) and "/" not in group and group not in values:
            for key, value in _option_values(group, option).items():
                values[f"{group}.{key}"] = value
    return values


def _option_values(group: str, option: str) -> dict[str, Any]:
    path = next((path for folder in _folders() if (path := folder / group / f"{option}.yaml").is_file()), None)
    if path is None:
        return {}
    node = _yaml(path)
    bases = [base for base in node.get("defaults") or [] if isinstance(base, str) and base != "_self_"]
    inherited = {key: value for base in bases for key, value in _option_values(group, base).items()}
    own = {key: value for key, value in node.items() if key != "defaults" and not key.startswith("_")}
    return inherited | own


def _yaml(path: Path) -> Mapping[str, Any]:
    try:
        held = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):  # composing says what is wrong with it
        return {}
    return held if isinstance(held, dict) else {}


def _fitting(words: Iterable[str], typed: str) -> list[str]:
    return sorted({word for word in words if word.startswith(typed)})
