"""WikiText (Merity et al. 2017) from the Hub, or from a folder with the files of its own distribution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exp.data import readers
from exp.data.base import RawData
from exp.data.hub import HubDataset
from exp.data.read_options import ReadOptions
from exp.data.rows import Rows
from exp.errors import ExpError

FILES = {"train": "wiki.train.*", "valid": "wiki.valid.*", "test": "wiki.test.*"}  # .raw or .tokens


@dataclass(frozen=True)
class WikiText(HubDataset):
    """Rows are lines; the Hub's hold their line breaks, the files' do not."""

    def columns(self) -> list[str]:  # type: ignore[override]
        return ["text"]

    def read(self) -> RawData:
        """Raises ExpError for a folder that lacks one of the files."""
        folder = Path(self.path or "").expanduser()
        if not folder.is_dir():
            return replace(super().read(), roles=_roles("nothing"))
        found = {split: sorted(folder.glob(pattern)) for split, pattern in FILES.items()}
        lacking = [FILES[split] for split, files in found.items() if len(files) != 1]
        if lacking:
            raise ExpError(
                f"data.path={self.path} has no single file {lacking[0]}; WikiText has wiki.train.raw, wiki.valid.raw "
                f"and wiki.test.raw. Other texts are read with data=files data.format=text"
            )
        train, valid, test = (_lines(files[0]) for files in found.values())
        return RawData(
            name=f"wikitext/{self.name}",
            train=train,
            evals={"": valid},
            tests={"": test},
            roles=_roles("line_break"),
            max_train_samples=self.max_train_samples,
            max_eval_samples=self.max_eval_samples,
        )


def _lines(file: Path) -> Rows:
    readers.require_file(file, "data.path")
    return readers.read(file, ReadOptions(format="text"))


def _roles(between: str) -> dict[str, Any]:
    return {"text_column": "text", "between_rows": between}
