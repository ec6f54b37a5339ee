"""One class an image or a recording: what both tasks share, from rows to scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from exp.data.examples import Examples, TaskData
from exp.data.media import Media, media_of
from exp.data.media_folder import ENDINGS, media_files, rows_of_files
from exp.data.rows import Rows
from exp.errors import ExpError
from exp.metrics import names as metric_names
from exp.task import labels, terms
from exp.task.assemble import assemble, read_splits
from exp.task.base import Answers, EvaluatedBatch, Head
from exp.task.media_transforms import Transform, transforms_of, written
from exp.task.one_label import OneLabelReading

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

    from exp.data.base import RawData
    from exp.data.features import Encoded, EncodedRows, FeatureSet

LABEL_COLUMN = "label"  # where neither the task's key nor the data option names it


@dataclass(frozen=True)
class MediaClassification:
    """The keys that both tasks have; see conf/task/image_classification.yaml."""

    label_column: str | None
    label_names: list[str | int] | None
    no_label: list[str | int] | None
    train_transforms: list[str | dict[str, Any]] | None
    metrics: list[str] | None

    kind: ClassVar[Literal["image", "audio"]]
    processor_kind: ClassVar[Literal["image_processor", "feature_extractor"]]
    auto_class: ClassVar[str]
    known_transforms: ClassVar[Mapping[str, type]]
    usual_transforms: ClassVar[tuple[str, ...]]
    usual_metrics: ClassVar[tuple[str, ...]]
    counted_in: ClassVar[str]  # what `FeatureSet.lengths` counts
    usage: ClassVar[str | None]  # for the model's card; None: the pipeline takes a path

    def __post_init__(self) -> None:
        labels.check_names(self.label_names)
        transforms_of(self.train_transforms or [], self.known_transforms)

    # ---- rows to batches ----

    def columns_of(self, roles: Mapping[str, Any]) -> list[str]:
        return [self._media(roles), self._label(roles)]

    def check_metrics(self, roles: Mapping[str, Any]) -> tuple[str, ...]:
        """Their names. Raises ExpError for one that is not for classes."""
        named = tuple(self.metrics or roles.get("metrics") or self.usual_metrics)
        asked = self.label_names or roles.get("label_names")
        metric_names.check(named, "single_label", len(asked) if asked else None)
        return named

    def read(self, raw: RawData) -> TaskData:
        media, label = self._media(raw.roles), self._label(raw.roles)
        train = labels.without_unlabelled(raw.train, label, self.no_label)
        asked = self.label_names or raw.roles.get("label_names")
        names = labels.class_names(train, label) if asked is None else [str(name) for name in asked]
        given = self.train_transforms
        if given is None:
            given = raw.roles.get("train_transforms", list(self.usual_transforms))
        facts = {
            "inputs": [media],
            "label_column": label,
            "label_names": names,
            "labels_by_index": asked is not None,
            "problem_type": "single_label_classification",
            "train_transforms": written(transforms_of(given, self.known_transforms)),
            "counted_in": self.counted_in,
            **({} if self.usage is None else {"usage": self.usage}),
        }

        def kept(rows: Rows, labelled: bool) -> tuple[Rows, bool]:
            labelled = labelled or labels.is_labelled(rows, label, names, self.no_label)
            return labels.without_unlabelled(rows, label, self.no_label) if labelled else rows, labelled

        metrics = self.check_metrics(raw.roles)
        metric_names.check(metrics, "single_label", len(names))
        splits = read_splits(dataclasses.replace(raw, train=train), partial(self.examples, facts=facts), kept)
        return assemble(
            raw,
            splits,
            strata=splits.train.targets,
            labels=names,
            metrics=metrics,
            max_length=1,  # nothing here is counted in tokens
            facts=facts,
        )

    def examples(self, rows: Rows, facts: Mapping[str, Any], *, labelled: bool) -> Examples:
        label, names = facts["label_column"], facts["label_names"]
        (column,) = facts["inputs"]
        targets = None
        if labelled or labels.is_labelled(rows, label, names, self.no_label):
            key = None if self.label_names is None else "task.label_names"
            targets = labels.class_indices(rows, label, names, facts["labels_by_index"], key)
        return Examples(list(range(len(rows))), {column: media_of(rows, column)}, targets)

    def head(self, data: TaskData) -> Head:
        return Head(
            auto_class=self.auto_class,
            labels=data.labels,
            problem_type="single_label_classification",
            peft_task=None,  # peft's classifier of sequences takes tokens alone
            pipeline=f"{self.kind}-classification",
            max_length=data.max_length,
            processor=self.processor_kind,
            prepare=self.prepare,
            terms=terms.ROWS,
        )

    def prepare(self, model: Any, processor: Any) -> None:
        """See Head.prepare."""

    def encode(self, data: TaskData, processor: Any, cache_dir: Path) -> Encoded:
        """Every file is decoded once, so that a damaged one is found before training; pixels and samples are not kept.

        Raises ExpError, with the file's name, for one that cannot be decoded.
        """
        from exp.data.features import encode_splits
        from exp.task.media_features import cells_of

        key = {"task": f"{self.kind}_classification"}

        made = encode_splits(
            data, key, cache_dir, lambda split: self.measured(cells_of(split)), lambda split: split.targets
        )
        transforms = transforms_of(data.facts["train_transforms"], self.known_transforms)

        def lazy(plain: FeatureSet, split: Examples, drawn: Sequence[Transform] = ()) -> FeatureSet:
            return self.features(plain, cells_of(split), processor, drawn)

        return dataclasses.replace(
            made,
            train=lazy(made.train, data.train, transforms),
            evals={suffix: lazy(one, data.evals[suffix]) for suffix, one in made.evals.items()},
            tests={suffix: lazy(one, data.tests[suffix]) for suffix, one in made.tests.items()},
        )

    def measured(self, cells: Sequence[Media]) -> EncodedRows:
        """What a row's decoding needs, kept for the cache. Raises ExpError for a file that cannot be decoded."""
        raise NotImplementedError

    def features(
        self, plain: FeatureSet, cells: Sequence[Media], processor: Any, transforms: Sequence[Transform]
    ) -> FeatureSet:
        """Rows that are decoded when they are asked for."""
        raise NotImplementedError

    def units(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Examples."""
        return len(next(iter(batch.values())))

    def answer(self, batch: EvaluatedBatch) -> Answers:
        return {"logits": list(batch.output.logits.float().cpu().numpy())}

    def typed(self, texts: Sequence[str], columns: Sequence[str]) -> Rows:
        """Paths, from the working folder on."""
        return Rows(Path("typed"), {columns[0]: [str(Path(texts[0]).expanduser())]}, [1])

    def opened(self, path: Path, columns: Sequence[str]) -> Rows | None:
        """Rows of a folder of files, or of one file; None where `path` is a file that holds rows."""
        if path.is_dir():
            return rows_of_files(media_files(path, self.kind), columns[0], path)
        if path.suffix.lower() in ENDINGS[self.kind]:
            return rows_of_files([path], columns[0], path.parent)
        return None

    def reading(self, facts: Mapping[str, Any]) -> MediaReading:
        return MediaReading(facts["label_names"], tuple(facts["metrics"]))

    def _media(self, roles: Mapping[str, Any]) -> str:
        key = f"{self.kind}_column"
        return getattr(self, key) or roles.get(key) or self.kind

    def _label(self, roles: Mapping[str, Any]) -> str:
        return self.label_column or roles.get("label_column") or LABEL_COLUMN


class MediaReading(OneLabelReading):
    """Classes as of texts; the table has names of files in place of inputs."""

    def decode(self, answers: Answers, features: FeatureSet, examples: Examples) -> pa.Table:
        names = {column: [cell.name for cell in cells] for column, cells in examples.inputs.items()}
        return super().decode(answers, features, Examples(examples.ids, names, examples.targets))


def require(module: str, extra: str) -> None:
    """Raises ExpError where the package of an extra is not installed."""
    import importlib.util

    if importlib.util.find_spec(module) is None:
        raise ExpError(f"{module} is not installed: pip install 'exp[{extra}]'")
