"""Folders of images or recordings: a folder a class, or labels in the names of files."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from exp.data.base import HoldOut, RawData, Sampled
from exp.data.media import Media
from exp.data.rows import Rows, Source
from exp.errors import ExpError, nearest

log = logging.getLogger("exp")
ENDINGS = {
    "image": (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"),
    "audio": (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"),
}
# Names of the folders of splits, as `datasets` knows them.
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class MediaFolder(Sampled):
    """See conf/data/image_folder.yaml for the keys."""

    kind: Literal["image", "audio"]
    name: str | None
    path: str | None
    train_folder: str | None
    validation_folder: str | None
    test_folder: str | None
    label_pattern: str | None
    validation_share: Annotated[float, Gt(0), Lt(1)]
    split_seed: Annotated[int, Ge(0)]

    def __post_init__(self) -> None:
        """Looks at names of folders only."""
        if self.path is None:
            raise ExpError(f"data={self.kind}_folder needs data.path: the folder with the {self.kind} files")
        root = Path(self.path).expanduser()
        if not root.is_dir():
            near = nearest(root.name, (item.name for item in root.parent.iterdir())) if root.parent.is_dir() else ""
            raise ExpError(f"data.path={self.path}: there is no such folder{near}")
        found = [split for split in SPLITS if self._folder(split) is not None]
        if found and "train" not in found:
            raise ExpError(
                f"data.path={self.path} has a {found[0]} folder and none for training "
                f"({', '.join(SPLITS['train'])}); name it with data.train_folder"
            )
        if self.label_pattern is not None:
            try:
                groups = re.compile(self.label_pattern).groups
            except re.error as error:
                raise ExpError(f"data.label_pattern={self.label_pattern} is no regular expression: {error}") from None
            if groups != 1:
                raise ExpError(
                    f"data.label_pattern={self.label_pattern} has {groups} groups; one pair of parentheses holds the "
                    f"label, as in '^([^_]+)_'"
                )

    def columns(self) -> list[str]:
        return [self.kind, "label", "file"]

    @property
    def roles(self) -> dict[str, Any]:
        return {f"{self.kind}_column": self.kind, "label_column": "label"}

    def read(self) -> RawData:
        """Raises ExpError for a folder without files, a class folder without files, and a file without a class."""
        root = Path(self.path or "").expanduser()
        train = self._folder("train")
        validation, test = self._folder("validation"), self._folder("test")
        return RawData(
            name=self.name or root.resolve().name,
            train=self._rows(train or root, labelled=True),
            evals={} if validation is None else {"": self._rows(validation, labelled=True)},
            tests={} if test is None else {"": self._rows(test, labelled=False)},
            roles=self.roles,
            id_column="file",
            hold_out=HoldOut(self.validation_share, self.split_seed) if validation is None else None,
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )

    def _folder(self, split: str) -> Path | None:
        """The split's folder: the one that the key names, else one with a usual name; None where there is none."""
        root, named = Path(self.path or "").expanduser(), getattr(self, f"{split}_folder")
        if named is not None:
            if not (root / named).is_dir():
                near = nearest(named, (item.name for item in root.iterdir() if item.is_dir()))
                raise ExpError(f"data.{split}_folder={named}: there is no folder {root / named}{near}")
            return root / named
        return next((root / name for name in SPLITS[split] if (root / name).is_dir()), None)

    def _rows(self, folder: Path, labelled: bool) -> Rows:
        files = media_files(folder, self.kind)
        if self.label_pattern is not None:
            labels: list[str | None] = [self._label_in(file) for file in files]
        else:
            labels = self._class_folders(folder, files, labelled)
        return rows_of_files(files, self.kind, Path(self.path or "").expanduser(), labels)

    def _label_in(self, file: Path) -> str:
        found = re.search(self.label_pattern or "", file.name)
        if found is None or not found.group(1):
            raise ExpError(f"{file}: data.label_pattern={self.label_pattern} finds no label in its name")
        return found.group(1)

    def _class_folders(self, folder: Path, files: Sequence[Path], labelled: bool) -> list[str | None]:
        """Names of the folders right below `folder`; of a test set without any, nothing."""
        places = [file.relative_to(folder).parts for file in files]
        classes = [item for item in sorted(folder.iterdir()) if item.is_dir() and not item.name.startswith(".")]
        if not classes and not labelled:
            return [None] * len(files)
        for file, parts in zip(files, places, strict=True):
            if len(parts) == 1:
                raise ExpError(
                    f"{file} stands in no class folder; put it into <class>/, or say with data.label_pattern how its "
                    f"name holds the label"
                )
        full = {parts[0] for parts in places}
        for item in classes:
            if item.name not in full:
                raise ExpError(f"{item} is a class folder without any {self.kind} file; fill it, or remove it")
        return [parts[0] for parts in places]


def media_files(folder: Path, kind: str) -> list[Path]:
    """All files of the kind at or below `folder`, by name; says how many others there are.

    Raises ExpError where there is none.
    """
    found: list[Path] = []
    others: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.suffix.lower() in ENDINGS[kind]:
            found.append(path)
        else:
            others[path.suffix.lower() or "without an ending"] += 1
    if not found:
        raise ExpError(f"{folder} holds no {kind} file ({', '.join(ENDINGS[kind])})")
    if others:
        kinds = ", ".join(f"{count} {ending}" for ending, count in sorted(others.items()))
        log.warning("%s: left out files that are no %s: %s", folder, kind, kinds)
    return found


def rows_of_files(files: Sequence[Path], column: str, root: Path, labels: Sequence[str | None] | None = None) -> Rows:
    """One row a file, with its path from `root` on as `file`, and `label` where labels are given."""
    names = [file.relative_to(root).as_posix() for file in files]
    cells = [Media(name, file) for name, file in zip(names, files, strict=True)]
    columns: dict[str, list[Any]] = {column: cells, "file": names}
    if labels is not None:
        columns["label"] = list(labels)
    sources = [Source(file, "file") for file in files]
    return Rows(root, columns, list(range(1, len(files) + 1)), sources=sources)
