"""A public data set: from its own files where they are given, else from the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from exp.data.base import RawData
from exp.data.files import Files
from exp.data.hub import HubDataset


@dataclass(frozen=True)
class FilesOrHub(Files):
    """`path` is a folder with the data set's files under their official names; `train_file` names others.

    Without either the data set comes from the Hub, where its columns may have other names: `hub_roles`.
    """

    official: dict[str, str | None]  # train_file, validation_file, test_file as they are published
    hub_id: str
    hub_name: str | None  # configuration
    revision: str | None
    train_split: str
    validation_split: str | None
    test_split: str | None
    hub_roles: dict[str, Any] | None

    def __post_init__(self) -> None:
        self._source()

    def columns(self) -> list[str] | None:
        return self._source().columns()

    def read(self) -> RawData:
        raw = self._source().read()
        return replace(raw, name=self.name or raw.name, roles=self._roles())

    def _from_hub(self) -> bool:
        return self.path is None and self.train_file is None

    def _roles(self) -> dict[str, Any]:
        return {**(self.roles or {}), **((self.hub_roles or {}) if self._from_hub() else {})}

    def _source(self) -> Files | HubDataset:
        if self._from_hub():
            return HubDataset(
                path=self.hub_id,
                name=self.hub_name,
                revision=self.revision,
                train_split=self.train_split,
                validation_split=self.validation_split,
                test_split=self.test_split,
                validation_share=self.validation_share,
                split_seed=self.split_seed,
                id_column=self.id_column,
                max_train_samples=self.max_train_samples,
                max_eval_samples=self.max_eval_samples,
                streaming=self.streaming,
                shuffle_buffer=self.shuffle_buffer,
            )
        given = {field.name: getattr(self, field.name) for field in fields(Files)}
        if self.train_file is None:
            tests = {"test_file": None} if self.test_files is not None else {}
            given |= {key: given[key] or file for key, file in {**self.official, **tests}.items()}
        return Files(**given)
