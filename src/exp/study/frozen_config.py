"""The config files as they were when the study began. They are stored with the study; trials are composed from them.

So an edit of conf/ during a sweep, or before it is continued, changes no trial on any machine.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_loader import ConfigLoader

from exp.compat.hydra import loader_of, sources_of
from exp.compat.optuna import storage_of, study_id
from exp.errors import ExpError

if TYPE_CHECKING:
    from hydra.plugins.config_source import ConfigSource
    from optuna import Study

PIECE = 30_000  # characters; MySQL keeps 64 KB in one attribute
PIECES = "exp:config pieces"
Files = dict[str, dict[str, str]]  # search path entry -> file -> text


def read_files(loader: ConfigLoader) -> Files:
    """Every YAML file of the search path's folders."""
    found: Files = {}
    for source in sources_of(loader):
        if _is_folder(source):
            root = Path(source.path)
            found[source.path] = {
                path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
                for path in sorted(root.rglob("*.yaml"))
            }
    return found


def store(study: Study, files: Files) -> None:
    packed = base64.b85encode(zlib.compress(json.dumps(list(files.values())).encode(), 9)).decode()
    pieces = [packed[start : start + PIECE] for start in range(0, len(packed), PIECE)]
    # System attributes, because optuna-dashboard shows a user's, all 30,000 characters of each.
    keep = functools.partial(storage_of(study).set_study_system_attr, study_id(study))
    for index, piece in enumerate(pieces):
        keep(f"exp:config {index}", piece)
    keep(PIECES, len(pieces))


def restore(study: Study) -> list[dict[str, str]] | None:
    """The files of each search path entry, in order; None where the study keeps none."""
    attrs = storage_of(study).get_study_system_attrs(study_id(study))
    if PIECES not in attrs:
        return None
    packed = "".join(attrs[f"exp:config {index}"] for index in range(attrs[PIECES]))
    return json.loads(zlib.decompress(base64.b85decode(packed)))


def frozen_loader(loader: ConfigLoader, files: list[dict[str, str]], folder: Path) -> ConfigLoader:
    """A loader like `loader` that reads the frozen files, written below `folder`."""
    frozen = iter(range(len(files)))
    addresses = []
    for source in sources_of(loader):
        if _is_folder(source):
            index = next(frozen, None)
            if index is None:
                continue
            root = folder / str(index)
            for name, text in files[index].items():
                path = _place(root, name)
                if not path.exists() or path.read_text(encoding="utf-8") != text:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    scratch = path.with_name(f".{path.name}.{os.getpid()}")
                    scratch.write_text(text, encoding="utf-8")
                    scratch.replace(path)  # another process may be reading it
            addresses.append((source.provider, f"file://{root.absolute()}"))
        else:
            addresses.append((source.provider, source.full_path()))
    return loader_of(addresses)


def _place(root: Path, name: str) -> Path:
    """Where a frozen file is written; the names come from the storage. Raises ExpError for one outside of `root`."""
    path = root / name
    if path.suffix != ".yaml" or ".." in path.parts or not path.resolve().is_relative_to(root.resolve()):
        raise ExpError(
            f"the study's storage holds a config file named {name!r}, which exp never writes: do not trust it"
        )
    return path


def _is_folder(source: ConfigSource) -> bool:
    return source.scheme() == "file" and bool(source.path) and Path(source.path).is_dir()
